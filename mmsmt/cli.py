"""Console script `mmsmt`: the commands, and the tools that they run."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

from mmsmt.paths import carried

# Command: file in tools/, description.
COMMANDS = {
    'new': ('misc/new_project.py', 'write a config for your own data'),
    'train': ('train.py', 'train a classifier, detector or segmenter'),
    'test': ('test.py', 'evaluate a checkpoint'),
    'predict': ('predict.py', 'predict images or a video, and draw the results'),
    'serve': ('serve.py', 'serve a web page to try models in a browser'),
    'demo': ('misc/demo.py', 'train and evaluate all three tasks on the embedded digits'),
    'study': ('analysis_tools/study.py', 'train every mixer on your images and compare them'),
    'export': ('deployment/export.py', 'export a model to ONNX or OpenVINO'),
    'quantize': ('deployment/quantize.py', 'quantize an exported file to 8-bit integers'),
    'convert': ('model_converters/convert_checkpoint.py', 'convert a checkpoint for a host'),
    'benchmark': ('analysis_tools/benchmark.py', 'measure speed and memory of networks'),
    'hub save': ('misc/hub_save.py', 'write a model to a folder for sharing'),
    'hub push': ('misc/hub_push.py', 'upload a model folder to the Hugging Face Hub'),
    'hub pull': ('misc/hub_pull.py', 'download a model from the Hugging Face Hub'),
    'prepare digits': ('dataset_converters/prepare_digits.py', 'write the embedded digits'),
    'check config': ('misc/check_configs.py', 'check configs without data'),
    'check data': ('misc/check_data.py', 'check the data of a config'),
    'check trial': ('misc/try_config.py', 'run one training step of a config'),
    'show recipe': ('misc/explain_config.py', 'rates, decay, length, augmentation of a config'),
    'show flops': ('analysis_tools/get_flops.py', 'parameters and multiply-accumulates'),
    'show models': ('analysis_tools/compare_models.py', 'costs and results of several models'),
    'show logs': ('analysis_tools/plot_logs.py', 'learning curves and results of runs'),
    'show receptive-field': ('analysis_tools/receptive_field.py', 'effective receptive fields'),
    'show invariance': ('analysis_tools/invariance.py', 'predictions on transformed images'),
    'show modulation': ('analysis_tools/modulation_maps.py', 'modulation maps of an SMT'),
    'show cam': ('analysis_tools/cam.py', 'Grad-CAM: regions that raise a score'),
    'show significance': (
        'analysis_tools/significance.py',
        'significance of pixels in an SG-Former',
    ),
}


def main() -> None:
    """Run the tool of a command; without a command, list all of them."""
    for length in (2, 1):
        command = ' '.join(sys.argv[1 : 1 + length])
        if command in COMMANDS:
            sys.argv = [f'mmsmt {command}', *sys.argv[1 + length :]]
            load_tool(COMMANDS[command][0]).main()
            return
    text = usage()
    if sys.argv[1:] in ([], ['-h'], ['--help']):
        print(text)
    else:
        sys.exit(f'error: unknown command {" ".join(sys.argv[1:3])!r}\n{text}')


def load_tool(file: str) -> Any:
    """Import a tool from its file in `tools/`, which is outside the package."""
    spec = spec_from_file_location('mmsmt_tool', carried('tools') / file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def usage() -> str:
    """Return one line per command."""
    lines = [f'  {command:22}{text}' for command, (_, text) in COMMANDS.items()]
    return '\n'.join(['usage: mmsmt COMMAND [arguments]; see mmsmt COMMAND --help', *lines])

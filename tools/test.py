"""Evaluate a checkpoint or exported file of a classifier, detector or segmenter."""

import argparse
from typing import TYPE_CHECKING

from mmsmt.checks.config import require_valid
from mmsmt.checks.data import explain_loader
from mmsmt.engine.arguments import add_common_arguments, apply_test_options
from mmsmt.engine.runner import build_runner, load_config
from mmsmt.engine.tool import run_tool

if TYPE_CHECKING:  # what mmsmt silences has to be silent before mmengine is imported
    from mmengine.runner import Runner


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='.pth or .safetensors; or exported, .onnx or .xml')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--deploy', action='store_true', help='the faster form of the backbone')
    parser.add_argument(
        '--precision',
        choices=('float32', 'bfloat16'),
        default='float32',
        help='in which an .xml file computes (float32)',
    )
    parser.add_argument('--out', help='write the predictions to this .pkl file')
    parser.add_argument('--show-dir', help='draw predictions into this folder')
    parser.add_argument(
        '--no-check', action='store_true', help='test although the config looks wrong'
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Test."""
    args = parse_args()

    def prepare() -> 'Runner':
        cfg = load_config(args)
        if not args.no_check:
            require_valid(cfg, trains=False)
        apply_test_options(cfg, args)
        return build_runner(cfg, explain_loader)

    run_tool(prepare, lambda runner: runner.test())


if __name__ == '__main__':
    main()

"""Evaluate a checkpoint or exported file of a classifier, detector or segmenter."""

import argparse
from typing import TYPE_CHECKING

from mmsmt.checks.config import require_valid
from mmsmt.checks.data import explain_loader
from mmsmt.engine.arguments import add_common_arguments, apply_test_options
from mmsmt.engine.runner import build_runner, load_config
from mmsmt.engine.tool import run_tool

if TYPE_CHECKING:  # mmsmt must silence warnings before mmengine is imported
    from mmengine.runner import Runner


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint', help='checkpoint (.pth, .safetensors) or exported file (.onnx, .xml)'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--deploy',
        action='store_true',
        help='test the deploy form of the backbone, which is faster',
    )
    parser.add_argument(
        '--precision',
        choices=('float32', 'bfloat16'),
        default='float32',
        help='precision of an .xml file (float32)',
    )
    parser.add_argument('--out', help='write the predictions to this .pkl file')
    parser.add_argument('--show-dir', help='draw predictions to this folder')
    parser.add_argument(
        '--no-check', action='store_true', help='test even if the config looks wrong'
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Test a model."""
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

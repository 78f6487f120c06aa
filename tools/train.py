"""Train a classifier, detector or segmenter from a config."""

import argparse
from typing import TYPE_CHECKING

from mmsmt.checks.config import require_valid
from mmsmt.checks.data import explain_loader
from mmsmt.datasets.guarded_pipeline import CHOICES
from mmsmt.engine.arguments import add_common_arguments, apply_train_options
from mmsmt.engine.runner import build_runner, load_config
from mmsmt.engine.tool import run_tool

if TYPE_CHECKING:  # mmsmt must silence warnings before mmengine is imported
    from mmengine.runner import Runner


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint, or from the latest in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by actual / base batch size',
    )
    parser.add_argument(
        '--epochs', type=int, help="number of epochs; the config's schedule is scaled in proportion"
    )
    parser.add_argument('--seed', type=int, help='seed of weights, order and augmentation')
    parser.add_argument(
        '--save-best',
        nargs='?',
        const='',
        metavar='METRIC',
        help='save the checkpoint with the best box AP, mIoU or top-1, or with the best METRIC',
    )
    parser.add_argument(
        '--early-stop',
        type=int,
        metavar='N',
        help='stop after N validations without improvement of the metric of --save-best',
    )
    parser.add_argument('--no-validate', action='store_true', help='train without validation')
    parser.add_argument(
        '--on-bad', choices=CHOICES, help='bad samples: stop (default), or skip and count them'
    )
    parser.add_argument(
        '--no-check', action='store_true', help='train even if the config looks wrong'
    )
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Train a model."""
    args = parse_args()

    def prepare() -> 'Runner':
        cfg = load_config(args)
        apply_train_options(cfg, args)
        if not args.no_check:
            require_valid(cfg)
        return build_runner(cfg, explain_loader)

    run_tool(prepare, lambda runner: runner.train())


if __name__ == '__main__':
    main()

"""Count parameters and multiply-accumulates of a config's model, without weights and data."""

import argparse

from mmsmt.analysis.complexity.config import count_config
from mmsmt.analysis.complexity.counter import Complexity
from mmsmt.engine.arguments import add_common_arguments
from mmsmt.engine.runner import load_config
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError


def count(args: argparse.Namespace) -> tuple[Complexity, tuple[int, int]]:
    """Count at the size that was asked for."""
    shape = args.shape or []
    if len(shape) > 2 or any(side < 1 for side in shape):
        raise UsageError(f'--shape takes H W or one side of a square, positive, got {shape}')
    return count_config(load_config(args), (shape[0], shape[-1]) if shape else None)


def show(counted: tuple[Complexity, tuple[int, int]]) -> None:
    """Print a line a number."""
    complexity, (height, width) = counted
    print(f'image (H x W)      {height} x {width}')
    print(f'parameters         {complexity.params / 1e6:.2f} M')
    print(f'MACs, all          {complexity.macs / 1e9:.2f} G')
    print(f'MACs, module-only  {complexity.macs_module_only / 1e9:.2f} G  (as papers report)')


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar=('H', 'W'),
        help='size of the image; by default the training crop of classifiers, 800 1280 for '
        'detectors, 512 2048 for segmenters',
    )
    add_common_arguments(parser)
    args = parser.parse_args()
    quiet()
    run_tool(lambda: count(args), show)


if __name__ == '__main__':
    main()

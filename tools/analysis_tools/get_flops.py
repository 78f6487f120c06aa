"""Count parameters and multiply-accumulates of a config's model, without weights and data."""

import argparse

from mmsmt.analysis.common.arguments import add_shape, read_shape
from mmsmt.analysis.complexity.config import count_config
from mmsmt.analysis.complexity.counter import Complexity
from mmsmt.engine.arguments import add_common_arguments
from mmsmt.engine.runner import load_config
from mmsmt.engine.tool import quiet, run_tool


def show(complexity: Complexity, size: tuple[int, int]) -> None:
    """Print a line for each number."""
    print(f'image (H x W)      {size[0]} x {size[1]}')
    print(f'parameters         {complexity.params / 1e6:.2f} M')
    print(f'MACs, all          {complexity.macs / 1e9:.2f} G')
    print(f'MACs, module-only  {complexity.macs_module_only / 1e9:.2f} G  (as papers report)')


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    add_shape(parser)
    add_common_arguments(parser)
    args = parser.parse_args()
    quiet()
    run_tool(
        lambda: count_config(load_config(args), read_shape(args)), lambda counted: show(*counted)
    )


if __name__ == '__main__':
    main()

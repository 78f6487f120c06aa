"""Describe training with a config: learning rates, decay, length and augmentation, as built."""

import argparse

from mmsmt.checks.recipe import read_recipe
from mmsmt.checks.recipe_text import describe_recipe
from mmsmt.engine.arguments import add_common_arguments
from mmsmt.engine.runner import load_config
from mmsmt.engine.tool import quiet, run_tool


def main() -> None:
    """Read the recipe and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--epoch-length', type=int, default=1000, help='iterations per epoch')
    add_common_arguments(parser)
    args = parser.parse_args()
    quiet()
    run_tool(
        lambda: read_recipe(load_config(args), args.epoch_length),
        lambda recipe: print(*describe_recipe(recipe, args.epoch_length), sep='\n'),
    )


if __name__ == '__main__':
    main()

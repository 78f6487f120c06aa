"""Write a model's weights, config, classes and model card to a folder."""

import argparse
from pathlib import Path

from mmsmt.apis.hub import save_pretrained
from mmsmt.engine.tool import quiet, run_tool


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file, mmdet::PATH in the configs of a host, or a name')
    add('checkpoint', help='.pth or .safetensors')
    add('--out', required=True, help='output folder, absent or empty')
    add('--name', default='', help='name of the model (that of the config)')
    add('--metrics', help='JSON file of an evaluation or training, for the model card')
    add('--license', default='', help='licence of the weights: mit, apache-2.0, ...')
    return parser.parse_args()


def main() -> None:
    """Write the folder and print its path."""
    args = parse_args()
    quiet()

    def run() -> Path:
        return save_pretrained(
            args.out,
            args.config,
            args.checkpoint,
            name=args.name,
            metrics=args.metrics,
            license=args.license,
        )

    run_tool(run, lambda folder: print(f'written  {folder}'))


if __name__ == '__main__':
    main()

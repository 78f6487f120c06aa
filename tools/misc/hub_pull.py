"""Download a model from the Hugging Face Hub to a folder."""

import argparse

from mmsmt.apis.hub import ModelFolder, pull
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.text import count


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('repo', metavar='OWNER/NAME', help='repository')
    add('--out', required=True, help='output folder, absent or empty')
    add('--revision', help='branch, tag or commit (newest by default)')
    return parser.parse_args()


def show(folder: ModelFolder) -> None:
    """Print what was downloaded."""
    classes = count(len(folder.dataset_meta['classes']), 'class')
    print(f'written  {folder.path}: {folder.cfg.model.type}, {classes}')


def main() -> None:
    """Download and check a model, and print a summary."""
    args = parse_args()
    quiet()
    run_tool(lambda: pull(args.repo, args.out, revision=args.revision), show)


if __name__ == '__main__':
    main()

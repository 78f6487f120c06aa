"""Upload a folder of `mmsmt hub save` to the Hugging Face Hub."""

import argparse

from mmsmt.apis.hub import push
from mmsmt.engine.tool import quiet, run_tool


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('folder', help='model folder')
    add('repo', metavar='OWNER/NAME', help='repository, created if it does not exist')
    add('--private', action='store_true', help='make a new repository private')
    add('--revision', help='branch (main by default)')
    add('--message', default='Upload model', help='commit message (%(default)s)')
    return parser.parse_args()


def main() -> None:
    """Upload and print the URL of the commit."""
    args = parse_args()
    quiet()

    def run() -> str:
        options = dict(private=args.private, revision=args.revision, message=args.message)
        return push(args.folder, args.repo, **options)

    run_tool(run, lambda address: print(f'uploaded  {address}'))


if __name__ == '__main__':
    main()

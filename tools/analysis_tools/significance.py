"""Draw what guides an SG-Former over images: significance, and how hard pixels are merged."""

import argparse
from pathlib import Path

from mmsmt.analysis.common.report_arguments import NAMED
from mmsmt.analysis.significance.report import draw_images
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.hosts.request import parse_requests


def show(written: list[Path]) -> None:
    """Print a line a picture."""
    for path in written:
        print(path)


def main() -> None:
    """Draw and print the names of the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', metavar='MODEL', help=NAMED)
    parser.add_argument('images', nargs='+', type=Path, metavar='IMAGE', help='of any size')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/significance'), help='folder (%(default)s)'
    )
    args = parser.parse_args()
    quiet()
    run_tool(lambda: draw_images(*parse_requests([args.model]), args.images, args.out), show)


if __name__ == '__main__':
    main()

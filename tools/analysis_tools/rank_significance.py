"""Compare the significance that SG-Formers find inside and outside the boxes of objects."""

import argparse
from pathlib import Path
from typing import Any

from mmsmt.analysis.common.report_arguments import NAMED
from mmsmt.analysis.significance.ranks import tabulate_ranks
from mmsmt.analysis.significance.report import rank_models
from mmsmt.datasets.root import data_root
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.hosts.request import parse_requests


def main() -> None:
    """Measure, write a JSON file and print the table."""
    scenes = data_root() / 'digits/scenes'
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('models', nargs='+', metavar='MODEL', help=NAMED)
    parser.add_argument(
        '--annotations',
        type=Path,
        default=scenes / 'annotations/instances_val.json',
        help='COCO file of boxes (%(default)s)',
    )
    parser.add_argument(
        '--images', type=Path, default=scenes / 'images/val', help='their folder (%(default)s)'
    )
    parser.add_argument('--limit', type=int, help='take the first images only')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/significance'), help='folder (%(default)s)'
    )
    args = parser.parse_args()
    quiet()

    def measure() -> list[dict[str, Any]]:
        requests = parse_requests(args.models)
        return rank_models(requests, args.annotations, args.images, args.out, args.limit)

    run_tool(measure, lambda rows: print(tabulate_ranks(rows)))


if __name__ == '__main__':
    main()

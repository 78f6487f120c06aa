"""Peak memory and time of backbones against the area of the image, one image at a time.

SG-Former by default, beside itself with whole attention matrices.
"""

import argparse
from pathlib import Path

from mmsmt.benchmark.area import Series
from mmsmt.benchmark.area_report import GIB, report_area
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.hosts.config import read_config
from mmsmt.hosts.request import parse_requests
from mmsmt.paths import carried

SIZES = (224, 320, 448, 640, 896, 1152, 1536)


def measure(args: argparse.Namespace) -> str:
    """Read the arguments and measure."""
    series = []
    for request in parse_requests(args.models):
        read_config(request.config)  # its faults before any process is started
        series.append(Series(request.label, request.config))
        if args.whole:
            series.append(Series(f'{request.label}, whole matrices', request.config, whole=True))
    limit = round(args.limit * GIB)
    return report_area(series, args.sizes, limit, args.rounds, args.out)


def main() -> None:
    """Measure, write the report and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'models',
        nargs='*',
        metavar='[LABEL=]CONFIG',
        default=[f'SG-Former-small={carried("configs") / "_base_/backbones/sg_former_s.py"}'],
        help='a config of a run, or a file with a `backbone` (%(default)s)',
    )
    parser.add_argument(
        '--whole',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='measure SG-Former with whole attention matrices too',
    )
    parser.add_argument('--sizes', nargs='+', type=int, default=SIZES, help='sides (%(default)s)')
    parser.add_argument('--rounds', type=int, default=5, help='of timing; 0 for none (5)')
    parser.add_argument('--limit', type=float, default=12, help='GiB a process may have (12)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/area'), help='(%(default)s)')
    args = parser.parse_args()
    quiet()
    run_tool(lambda: measure(args), print)


if __name__ == '__main__':
    main()

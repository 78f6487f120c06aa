"""Measure predictions on changed images: CSV, JSON, curves."""

import argparse

from mmsmt.analysis.common.arguments import read_report, report_parser
from mmsmt.analysis.common.reports import Row
from mmsmt.analysis.invariance.report import report_invariance
from mmsmt.analysis.invariance.variants import CROP, FORMS, GEOMETRIC, KINDS, RESIZE, Protocol
from mmsmt.engine.tool import quiet, run_tool


def measure(args: argparse.Namespace) -> list[Row]:
    """Measure and draw."""
    report = read_report(args)
    resize = args.resize or round(args.size * RESIZE / CROP)
    return report_invariance(report, Protocol(args.size, resize, args.form, args.seed), args.kinds)


def show(rows: list[Row], args: argparse.Namespace) -> None:
    """Print means over the strengths of each kind."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row['model'], row['weights'], row['kind']), []).append(row)
    for (model, weights, kind), members in groups.items():
        means = ', '.join(
            f'{metric} {sum(row[metric] for row in members) / len(members):.3f}'
            for metric in ('top1', 'top5', 'consistency', 'loss')
            if metric in members[0]
        )
        print(f'{model} ({weights}), {kind}, mean over {len(members)} strengths: {means}')
    print(args.out / 'invariance.png')


def main() -> None:
    """Measure, draw and print."""
    parser = report_parser(__doc__, 'invariance', limit=500)
    parser.add_argument(
        '--resize', type=int, help='short side of resized images (size * 256 / 224)'
    )
    parser.add_argument('--form', choices=FORMS, default=FORMS[0], help='(%(default)s)')
    parser.add_argument(
        '--kinds',
        nargs='+',
        choices=list(KINDS),
        default=list(GEOMETRIC),
        help=f'(default: {" ".join(GEOMETRIC)})',
    )
    args = parser.parse_args()
    quiet()
    run_tool(lambda: measure(args), lambda rows: show(rows, args))


if __name__ == '__main__':
    main()

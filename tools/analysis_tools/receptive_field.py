"""Measure effective receptive fields of models: areas as CSV and JSON, and pictures."""

import argparse

from mmsmt.analysis.common.arguments import read_report, report_parser
from mmsmt.analysis.common.reports import Row
from mmsmt.analysis.receptive_field.report import report_fields
from mmsmt.engine.tool import quiet, run_tool


def show(rows: list[Row], args: argparse.Namespace) -> None:
    """Print a line for each model, stage and share."""
    for row in rows:
        print(
            f'{row["model"]} ({row["weights"]}), stage {row["stage"] + 1}: {row["share"]:.0%} in '
            f'{row["area"]:.2%} of the image ({row["area_log_scale"]:.2%} on a log scale)'
        )
    print(args.out / 'receptive_field.png')


def main() -> None:
    """Measure, draw and print."""
    parser = report_parser(__doc__, 'receptive_field', limit=50)
    parser.add_argument(
        '--out-indices',
        nargs='+',
        type=int,
        default=[0, 1, 2, 3],
        help="maps of the backbone, its config's `out_indices`; default: four stages",
    )
    args = parser.parse_args()
    quiet()
    run_tool(
        lambda: report_fields(read_report(args), tuple(args.out_indices)),
        lambda rows: show(rows, args),
    )


if __name__ == '__main__':
    main()

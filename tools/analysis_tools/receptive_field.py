"""Effective receptive fields of networks of any host: areas as CSV and JSON, and pictures."""

import argparse
from pathlib import Path
from typing import Any

from mmsmt.analysis.common.report_arguments import add_report_arguments, read_report_arguments
from mmsmt.analysis.receptive_field.report import report_fields
from mmsmt.engine.tool import quiet, run_tool


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure and draw."""
    requests, samples = read_report_arguments(args)
    stages = tuple(args.out_indices)
    return report_fields(requests, samples, args.out, args.size, stages, args.seed, args.device)


def show(rows: list[dict[str, Any]], out: Path) -> None:
    """Print a line a network, stage and share."""
    for row in rows:
        print(
            f'{row["model"]} ({row["weights"]}), stage {row["stage"] + 1}: {row["share"]:.0%} in '
            f'{row["area"]:.2%} of the image ({row["area_log_scale"]:.2%} on a log scale)'
        )
    print(out / 'receptive_field.png')


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_report_arguments(parser, Path('work_dirs/receptive_field'), limit=50)
    parser.add_argument(
        '--out-indices',
        nargs='+',
        type=int,
        default=[0, 1, 2, 3],
        help="maps of the backbone, its config's `out_indices`; default: four stages",
    )
    args = parser.parse_args()
    quiet()
    run_tool(lambda: measure(args), lambda rows: show(rows, args.out))


if __name__ == '__main__':
    main()

"""What classifiers of any host make of shifted, turned and scaled images: CSV, JSON, curves."""

import argparse
from pathlib import Path
from typing import Any

from mmsmt.analysis.common.report_arguments import add_report_arguments, read_report_arguments
from mmsmt.analysis.invariance.report import report_invariance
from mmsmt.analysis.invariance.variants import CROP, FORMS, KINDS, RESIZE, Protocol
from mmsmt.engine.tool import quiet, run_tool


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure and draw."""
    requests, samples = read_report_arguments(args)
    resize = args.resize or round(args.size * RESIZE / CROP)
    protocol = Protocol(args.size, resize, args.form, args.seed)
    return report_invariance(
        requests, samples, args.out, args.kinds, protocol, args.seed, args.device
    )


def show(rows: list[dict[str, Any]], out: Path) -> None:
    """Print means over the strengths of each kind."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row['model'], row['weights'], row['kind']), []).append(row)
    for (model, weights, kind), members in groups.items():
        means = ', '.join(
            f'{metric} {sum(row[metric] for row in members) / len(members):.3f}'
            for metric in ('top1', 'top5', 'consistency', 'loss')
            if metric in members[0]
        )
        print(f'{model} ({weights}), {kind}, mean over {len(members)} strengths: {means}')
    print(out / 'invariance.png')


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_report_arguments(parser, Path('work_dirs/invariance'), limit=500)
    parser.add_argument(
        '--resize', type=int, help='side to which images are resized (size * 256 / 224)'
    )
    parser.add_argument('--form', choices=FORMS, default=FORMS[0], help=f'({FORMS[0]})')
    parser.add_argument('--kinds', nargs='+', choices=list(KINDS), default=list(KINDS))
    args = parser.parse_args()
    quiet()
    run_tool(lambda: measure(args), lambda rows: show(rows, args.out))


if __name__ == '__main__':
    main()

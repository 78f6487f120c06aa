"""Parameters, multiply-accumulates and results of networks of any host as Markdown and CSV."""

import argparse
from pathlib import Path
from typing import Any

from mmsmt.analysis.complexity.table import compare_models, to_markdown
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError
from mmsmt.hosts.request import parse_requests


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Count, look up, write."""
    shape = args.shape or []
    if len(shape) > 2 or any(side < 1 for side in shape):
        raise UsageError(f'--shape takes H W or one side of a square, positive, got {shape}')
    size = (shape[0], shape[-1]) if shape else None
    return compare_models(parse_requests(args.models), args.out, size)


def show(rows: list[dict[str, Any]], out: Path) -> None:
    """Print the table."""
    print(to_markdown(rows))
    print(out / 'models.csv')


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'models',
        nargs='+',
        metavar='MODEL',
        help='[LABEL=]CONFIG[,RESULTS]; RESULTS is a JSON file of measured metrics, without it '
        'published ones stand beside, where a metafile has them',
    )
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar=('H', 'W'),
        help='size; see mmsmt show flops',
    )
    out = Path('work_dirs/comparison')
    parser.add_argument('--out', type=Path, default=out, help=f'folder to write ({out})')
    args = parser.parse_args()
    quiet()
    run_tool(lambda: measure(args), lambda rows: show(rows, args.out))


if __name__ == '__main__':
    main()

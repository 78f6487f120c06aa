"""Draw modulation maps of an image in an SMT, and the reach of its heads, as pictures and CSV."""

import argparse
from pathlib import Path

from mmsmt.analysis.common.arguments import MODEL, model_parser
from mmsmt.analysis.modulation.maps import HeadReach
from mmsmt.analysis.modulation.report import report_modulation
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError
from mmsmt.hosts.request import parse_requests


def measure(args: argparse.Namespace) -> list[HeadReach]:
    """Measure and draw."""
    if args.size < 1:
        raise UsageError(f'--size must be positive, got {args.size}')
    (request,) = parse_requests([args.model])
    return report_modulation(request, args.image, args.out, args.size, args.seed)


def show(reaches: list[HeadReach], out: Path) -> None:
    """Print a line for each head."""
    for reach in reaches:
        print(
            f'stage {reach.stage}, head {reach.head} ({reach.kernel} x {reach.kernel}): effective '
            f'area {reach.area:.1f} taps, relative receptive field {reach.relative:.3f}'
        )
    print(out / 'modulation.png')


def main() -> None:
    """Measure, draw and print."""
    parser = model_parser(__doc__, 'modulation')
    parser.add_argument('image', type=Path, help='image file')
    parser.add_argument('model', **MODEL)
    args = parser.parse_args()
    quiet()
    run_tool(lambda: measure(args), lambda reaches: show(reaches, args.out))


if __name__ == '__main__':
    main()

"""What guides an SG-Former: pictures of significance and merging, or ranks at objects.

`MODEL IMAGE...` draws. `MODEL... --annotations FILE` compares the significance inside the boxes of
objects with that outside.
"""

from pathlib import Path

from mmsmt.analysis.common.arguments import MODEL, folder_parser
from mmsmt.analysis.significance.picture import draw_images
from mmsmt.analysis.significance.ranks import rank_models, tabulate_ranks
from mmsmt.datasets.root import data_root
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.hosts.request import parse_requests


def main() -> None:
    """Draw and print the names of the pictures, or rank and print a table."""
    parser = folder_parser(__doc__, 'significance')
    help_text = f'{MODEL["help"]}; without --annotations one MODEL, then images of any size'
    parser.add_argument('models', nargs='+', metavar='MODEL', help=help_text)
    parser.add_argument('--annotations', type=Path, help='COCO file of boxes: rank, do not draw')
    parser.add_argument(
        '--images',
        type=Path,
        default=data_root() / 'digits/scenes/images/val',
        help='folder of the images that --annotations names (%(default)s)',
    )
    parser.add_argument('--limit', type=int, help='rank on the first images only')
    args = parser.parse_args()
    if not args.annotations and len(args.models) < 2:
        parser.error('give images to draw on, or --annotations to rank at')
    quiet()
    if args.annotations:
        run_tool(
            lambda: rank_models(
                parse_requests(args.models), args.annotations, args.images, args.out, args.limit
            ),
            lambda rows: print(tabulate_ranks(rows)),
        )
    else:
        model, *images = args.models
        run_tool(
            lambda: draw_images(*parse_requests([model]), list(map(Path, images)), args.out),
            lambda written: print(*written, sep='\n'),
        )


if __name__ == '__main__':
    main()

"""Show the significance that guides an SG-Former, as pictures or as ranks inside objects.

`MODEL IMAGE...` draws pictures. `MODEL... --annotations FILE` compares the significance inside and
outside the boxes of objects.
"""

from pathlib import Path

from mmsmt.analysis.common.arguments import MODEL, folder_parser
from mmsmt.analysis.significance.picture import draw_images
from mmsmt.analysis.significance.ranks import rank_models, tabulate_ranks
from mmsmt.datasets.root import data_root
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.hosts.request import parse_requests


def main() -> None:
    """Draw and print the names of the pictures, or print a table of ranks."""
    parser = folder_parser(__doc__, 'significance')
    help_text = f'{MODEL["help"]}; without --annotations: one MODEL, then images of any size'
    parser.add_argument('models', nargs='+', metavar='MODEL', help=help_text)
    parser.add_argument(
        '--annotations', type=Path, help='COCO file with boxes: print ranks instead of drawing'
    )
    parser.add_argument(
        '--images',
        type=Path,
        default=data_root() / 'digits/scenes/images/val',
        help='folder of the images in --annotations (%(default)s)',
    )
    parser.add_argument('--limit', type=int, help='use only the first images')
    args = parser.parse_args()
    if not args.annotations and len(args.models) < 2:
        parser.error('pass images to draw on, or --annotations')
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

"""Grad-CAM: the image regions that raise the score of a class, a box, or a class's pixels."""

from mmsmt.analysis.cam.maps import METHODS
from mmsmt.analysis.common.arguments import MODEL, folder_parser
from mmsmt.apis.cam import Drawn, draw_cams
from mmsmt.engine.tool import quiet, run_tool
from mmsmt.hosts.request import parse_requests

FEWEST = 7  # side of the last map of an image of 224 pixels


def show(pictures: list[Drawn]) -> None:
    """Print every picture's name, and a line for each prediction in it."""
    for picture in pictures:
        print(picture.path)
        for found in picture.found:
            line = f'  {found.label}'
            if found.inside is not None and found.area is not None:
                line += f': {found.inside:.1%} of the map inside, area {found.area:.1%}'
            print(line)
    height, width = min((found.grid for picture in pictures for found in picture.found), key=min)
    if min(height, width) < FEWEST:
        print(f'note: the map has {height} x {width} cells; --stage uses an earlier, finer one')


def main() -> None:
    """Draw pictures, and print what is explained."""
    parser = folder_parser(__doc__, 'cam')
    add = parser.add_argument
    add('model', **MODEL)
    add('images', nargs='+', metavar='IMAGE', help='image file')
    add('--class', dest='class_name', metavar='NAME', help='explain this class')
    add('--box', type=int, metavar='K', help="explain a detector's K-th best box (1, 2, ...)")
    add('--stage', type=int, metavar='N', help='use the map of this stage of the backbone, from 1')
    add(
        '--layer', metavar='NAME', help='use the map of this module, such as backbone.layers.11.ln1'
    )
    add('--method', choices=METHODS, help='default: hirescam for boxes, otherwise gradcam')
    add('--device', help='cpu, cuda or cuda:1 (the GPU, if there is one)')
    args = parser.parse_args()
    quiet()
    options = vars(args)
    model, images, out = (options.pop(name) for name in ('model', 'images', 'out'))
    run_tool(lambda: draw_cams(*parse_requests([model]), images, out, **options), show)


if __name__ == '__main__':
    main()

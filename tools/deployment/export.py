"""Export a classifier, segmenter, detector or backbone, verified on real images."""

import argparse
from pathlib import Path

from mmsmt.deploy.export.exporter import Exported, export
from mmsmt.deploy.export.tasks import MASKS
from mmsmt.deploy.onnx.writer import OLDEST_OPSET
from mmsmt.deploy.session import FORMATS
from mmsmt.engine.tool import quiet, run_tool


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='training config, or a file with a `backbone`')
    add('checkpoint', help='checkpoint file (.pth or .safetensors)')
    add('--to', choices=FORMATS, help='format (from the suffix of --out)')
    add('--out', type=Path, required=True, help='.onnx or .xml file to write')
    add('--backbone-only', action='store_true', help='export the maps of the backbone')
    add(
        '--maps',
        action='store_true',
        help="export the maps of a detector's head or neck, without boxes",
    )
    add('--labels', action='store_true', help="export a segmenter's labels instead of logits")
    add(
        '--masks',
        choices=MASKS,
        default=MASKS[0],
        help='masks of boxes or of whole images (%(default)s)',
    )
    add('--max-per-img', type=int, metavar='K', help='maximum boxes per image (from the config)')
    add('--size', type=int, nargs=2, metavar=('H', 'W'), help='fixed size of all images (any size)')
    add('--no-deploy', action='store_true', help='export the model as trained, without folding')
    add('--opset', type=int, default=OLDEST_OPSET, help='ONNX opset (%(default)s)')
    add('--images', type=Path, help='folder of images for the verification (the digits)')
    add('--limit', type=int, default=3, help='maximum number of these images (%(default)s)')
    return parser.parse_args()


def show(exported: Exported) -> None:
    """Print the file, its inputs and outputs, and the results of the verification."""
    files = {exported.path, exported.path.with_suffix('.bin')}  # OpenVINO's weights
    files = files if exported.path.suffix == '.xml' else {exported.path}
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    print(f'written  {exported.path}: {exported.task}, {megabytes:.1f} MB')
    for name, shape in exported.inputs.items():
        print(f'in       {name} {_sides(shape)}, uint8, RGB')
    for name, shape in exported.outputs.items():
        print(f'out      {name} {_sides(shape)}, {exported.types[name]}')
    for images, height, width, differences, detections, agreeing in exported.checks:
        worst = _differences(differences, detections, exported.unit)
        number = f'{images}' if agreeing in (None, images) else f'{agreeing} of {images} agree,'
        print(f'checked  {number} of {height} x {width}: {worst}')
    if exported.undescribed:
        print(f'alone    not usable without its config: {exported.undescribed}')
    if not exported.checks:
        print('checked  not at all: onnxruntime is not installed')


def _differences(differences: dict[str, float], detections: int | None, unit: str) -> str:
    """Describe differences of boxes in their units, otherwise the largest one."""
    if detections is None:
        return f'largest difference {max(differences.values()):.1e} {unit}'
    worst = (f'{name} {value:.1e}' for name, value in differences.items() if name != 'count')
    return f'{detections} detections, largest differences: {", ".join(worst)} ({unit})'


def _sides(shape: list[int | str]) -> str:
    """Format lengths, names of free axes, and a dot for lengths computed from the image size."""
    return ' x '.join(s if s.isalnum() else '.' for s in map(str, shape))


def main() -> None:
    """Export and report the result."""
    args = parse_args()
    quiet()

    def run() -> Exported:
        return export(
            args.config,
            args.checkpoint,
            args.out,
            to=args.to,
            backbone_only=args.backbone_only,
            maps=args.maps,
            labels=args.labels,
            masks=args.masks,
            max_per_img=args.max_per_img,
            size=tuple(args.size) if args.size else None,
            deployed=not args.no_deploy,
            opset=args.opset,
            images=args.images,
            limit=args.limit,
        )

    run_tool(run, show)


if __name__ == '__main__':
    main()

"""Convert a released or trained checkpoint to a file for mmpretrain, mmdet or mmseg."""

import argparse
import sys
from pathlib import Path

from mmsmt import __version__
from mmsmt.backbones.families import identify
from mmsmt.checkpoints import load_checkpoint, select_head_rows, to_host, write_checkpoint
from mmsmt.checkpoints.writer import FORMATS, TARGETS
from mmsmt.errors import CheckpointError


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', type=Path, help='released checkpoint, or one of a host')
    parser.add_argument(
        'dst',
        type=Path,
        help='output .pth or .safetensors; the start of its SHA-256 is added to the name',
    )
    parser.add_argument(
        '--target',
        choices=TARGETS,
        required=True,
        help='classifiers keep their head, whole detectors and segmenters everything',
    )
    parser.add_argument(
        '--backbone-only',
        action='store_true',
        help='take only the backbone of a whole detector or segmenter',
    )
    parser.add_argument(
        '--head-map',
        type=Path,
        help='keep these classes of the head: a text file, one class index per line',
    )
    parser.add_argument('--report', action='store_true', help='list every entry that is written')
    return parser.parse_args()


def convert(args: argparse.Namespace) -> None:
    """Read, check and write a checkpoint; print what was found, left out and written."""
    if args.dst.suffix not in FORMATS:
        raise CheckpointError(f'{args.dst}: the name must end in {" or ".join(FORMATS)}')
    if args.head_map and args.target != 'classifier':
        raise CheckpointError('--head-map needs --target classifier, other targets have no head')
    state = load_checkpoint(args.src)
    try:
        network, variant, parts = identify(state)
        state = to_host(parts, args.target, args.backbone_only)
    except CheckpointError as error:
        raise CheckpointError(f'{args.src}: {error}') from error
    if args.head_map:
        select_head_rows(parts, args.head_map)
        state = to_host(parts, args.target)
    left_out = [name for name in (*parts.other, *parts.dropped) if name not in state]
    if args.target != 'classifier':
        left_out += [f'head.{name}' for name in parts.head]
    meta = dict(
        source=args.src.name,
        target=args.target,
        network=network,
        variant=variant,
        mmsmt_version=__version__,
    )
    written = write_checkpoint(state, args.dst, meta)

    print(f'network   {network}')
    print(f'variant   {variant}')
    print(f'names     {parts.dialect or "mmsmt"}')
    print(f'left out  {", ".join(left_out) or "nothing"}')
    if args.target == 'classifier':
        classes = len(next(iter(parts.head.values()))) if parts.head else None
        print(f'head      {f"{classes} classes" if classes else "none in the file"}')
    if args.report:
        for name, value in state.items():
            print(f'entry     {name} {list(value.shape)}')
    print(f'written   {written}')


def main() -> None:
    """Convert, or report an error in one line."""
    args = parse_args()
    try:
        convert(args)
    except CheckpointError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()

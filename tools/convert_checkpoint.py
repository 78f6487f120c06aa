"""Convert a released or trained SMT checkpoint into a file for mmpretrain, mmdet or mmseg."""

import argparse
import sys
from pathlib import Path

from mmsmt import __version__
from mmsmt.backbones import SMT
from mmsmt.backbones.smt_archs import infer_arch, name_arch
from mmsmt.checkpoints import (
    CheckpointError,
    Parts,
    compare,
    load_checkpoint,
    select_head_rows,
    split_state_dict,
    to_host,
    write_checkpoint,
)
from mmsmt.checkpoints.writing import FORMATS, TARGETS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', type=Path, help='released checkpoint, or one of a host')
    parser.add_argument(
        'dst',
        type=Path,
        help='.pth or .safetensors to write; the start of its SHA-256 is added to the name',
    )
    parser.add_argument(
        '--target', choices=TARGETS, required=True, help='only a classifier keeps the head'
    )
    parser.add_argument(
        '--head-map',
        type=Path,
        help='keep these classes of the head: a text file, one class index per line',
    )
    parser.add_argument('--report', action='store_true', help='list every entry that is written')
    return parser.parse_args()


def check_backbone(parts: Parts, source: Path) -> str:
    """Hold the backbone against the network it should be.

    Returns:
        Its variant in words.

    Raises:
        CheckpointError: If it is no SMT, or entries are missing, too many or mis-shaped.
    """
    found = infer_arch(parts.backbone)
    if found is None:
        raise CheckpointError(f'{source}: no complete SMT backbone inside')
    variant = name_arch(found)
    try:
        model = SMT.of_state_dict(parts.backbone)
    except ValueError as error:
        raise CheckpointError(f'{source}: no SMT has the shapes in it: {error}') from error
    report = compare(model.state_dict(), parts.backbone)
    if report.missing or report.unexpected or report.mismatched:
        raise CheckpointError(f'{source}: no complete SMT, {variant}: {report.summary()}')
    return f'{variant} ({", ".join(f"{key} {value}" for key, value in found.items())})'


def convert(args: argparse.Namespace) -> None:
    """Read, check, write; say what was found, left out and written."""
    if args.dst.suffix not in FORMATS:
        raise CheckpointError(f'{args.dst}: the name must end in {" or ".join(FORMATS)}')
    if args.head_map and args.target != 'classifier':
        raise CheckpointError('--head-map needs --target classifier, others keep no head')
    parts = split_state_dict(load_checkpoint(args.src), SMT.dialects)
    variant = check_backbone(parts, args.src)
    if args.head_map:
        select_head_rows(parts, args.head_map)
    state = to_host(parts, args.target)
    left_out = list(parts.other)
    if args.target != 'classifier':
        left_out += [f'head.{name}' for name in parts.head]
    meta = dict(
        source=args.src.name, target=args.target, variant=variant, mmsmt_version=__version__
    )
    written = write_checkpoint(state, args.dst, meta)

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
    """Convert, or say in one line why not."""
    args = parse_args()
    try:
        convert(args)
    except CheckpointError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()

"""Arguments that the tools for looking at networks share."""

import argparse
from pathlib import Path

import torch

from mmsmt.datasets.root import data_root
from mmsmt.errors import UsageError
from mmsmt.hosts.images import Samples, read_samples
from mmsmt.hosts.request import Request, parse_requests

NAMED = (
    '[LABEL=]CONFIG[,CHECKPOINT]; a config of a run, a file with a `backbone`, or '
    '`package::path` in the configs of a host; without a checkpoint weights are random'
)


def add_report_arguments(parser: argparse.ArgumentParser, out: Path, limit: int) -> None:
    """Networks, images and where the report goes.

    Args:
        parser: Of the tool.
        out: Folder of the report, by default.
        limit: Number of images, by default.
    """
    parser.add_argument('models', nargs='+', metavar='MODEL', help=NAMED)
    parser.add_argument(
        '--images',
        type=Path,
        default=data_root() / 'digits/cls/val',
        help='folder of images, or of one folder a class (default: the digits)',
    )
    parser.add_argument('--limit', type=int, default=limit, help=f'images at most ({limit})')
    parser.add_argument('--size', type=int, default=224, help='side that networks see (224)')
    parser.add_argument('--seed', type=int, default=0, help='of all that is random (0)')
    parser.add_argument('--device', default='cpu', help='where networks run (cpu)')
    parser.add_argument('--out', type=Path, default=out, help=f'folder to write ({out})')


def read_report_arguments(args: argparse.Namespace) -> tuple[list[Request], Samples]:
    """Check the shared arguments and read the images.

    Raises:
        UsageError: If one is wrong.
    """
    requests = parse_requests(args.models)
    if args.size < 1:
        raise UsageError(f'--size must be positive, got {args.size}')
    try:
        torch.empty(1, device=args.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f'--device {args.device}: not to be had here: {reason}') from error
    return requests, read_samples(args.images, args.limit, args.seed)

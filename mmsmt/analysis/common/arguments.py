"""Arguments that the tools for looking at models share."""

import argparse
from pathlib import Path
from typing import Any

import torch

from mmsmt.analysis.common.reports import Report
from mmsmt.datasets.root import data_root
from mmsmt.errors import UsageError
from mmsmt.hosts.images import read_samples
from mmsmt.hosts.request import parse_requests

MODEL: dict[str, Any] = dict(
    metavar='MODEL',
    help='[LABEL=]CONFIG[,CHECKPOINT]; a training config, a file with a `backbone`, or '
    '`package::path` in the configs of a host; without a checkpoint weights are random',
)


def folder_parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """A parser of a tool that writes a folder: `--out`, by default work_dirs/<out>."""
    parser = argparse.ArgumentParser(description=description)
    folder = Path('work_dirs', out)
    parser.add_argument('--out', type=Path, default=folder, help='folder to write (%(default)s)')
    return parser


def model_parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """A parser of a tool that runs models and writes a folder: `--size` and `--seed` too."""
    parser = folder_parser(description, out)
    parser.add_argument('--size', type=int, default=224, help='side that models see (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of all that is random (%(default)s)')
    return parser


def report_parser(description: str | None, out: str, limit: int) -> argparse.ArgumentParser:
    """A parser of a tool that runs models on images; `limit` of them by default."""
    parser = model_parser(description, out)
    parser.add_argument('models', nargs='+', **MODEL)
    parser.add_argument(
        '--images',
        type=Path,
        default=data_root() / 'digits/cls/val',
        help='folder of images, or of one folder a class (default: the digits)',
    )
    parser.add_argument('--limit', type=int, default=limit, help='images at most (%(default)s)')
    parser.add_argument('--device', default='cpu', help='where models run (%(default)s)')
    return parser


def read_report(args: argparse.Namespace) -> Report:
    """Check the arguments of a `report_parser` (UsageError) and read the images."""
    requests = parse_requests(args.models)
    if args.size < 1:
        raise UsageError(f'--size must be positive, got {args.size}')
    try:
        torch.empty(1, device=args.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f'--device {args.device}: not available: {reason}') from error
    samples = read_samples(args.images, args.limit, args.seed)
    return Report(requests, samples, args.out, args.size, args.seed, args.device)


def add_shape(parser: argparse.ArgumentParser) -> None:
    """The size of the image that a model is counted for."""
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar=('H', 'W'),
        help='size of the image; by default the training crop of classifiers, 800 1280 for '
        'detectors, 512 2048 for segmenters',
    )


def read_shape(args: argparse.Namespace) -> tuple[int, int] | None:
    """Height and width of `add_shape`, None without; UsageError if they are no size."""
    shape = args.shape or []
    if len(shape) > 2 or any(side < 1 for side in shape):
        raise UsageError(f'--shape takes H W or one side of a square, positive, got {shape}')
    return (shape[0], shape[-1]) if shape else None

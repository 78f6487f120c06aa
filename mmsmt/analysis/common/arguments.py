"""Shared command-line arguments of the analysis tools."""

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
    '`package::path` in the configs of a host; without a checkpoint the weights are random',
)


def folder_parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """Return a parser with `--out`, work_dirs/<out> by default, for tools that write a folder."""
    parser = argparse.ArgumentParser(description=description)
    folder = Path('work_dirs', out)
    parser.add_argument('--out', type=Path, default=folder, help='output folder (%(default)s)')
    return parser


def model_parser(description: str | None, out: str) -> argparse.ArgumentParser:
    """Return a parser with `--out`, `--size` and `--seed`, for tools that run models."""
    parser = folder_parser(description, out)
    parser.add_argument('--size', type=int, default=224, help='input size in pixels (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='random seed (%(default)s)')
    return parser


def report_parser(description: str | None, out: str, limit: int) -> argparse.ArgumentParser:
    """Return a parser for tools that run models on images, `limit` of them by default."""
    parser = model_parser(description, out)
    parser.add_argument('models', nargs='+', **MODEL)
    parser.add_argument(
        '--images',
        type=Path,
        default=data_root() / 'digits/cls/val',
        help='folder of images, or of one folder per class (default: the digits)',
    )
    parser.add_argument('--limit', type=int, default=limit, help='maximum images (%(default)s)')
    parser.add_argument('--device', default='cpu', help='device of the models (%(default)s)')
    return parser


def read_report(args: argparse.Namespace) -> Report:
    """Validate the arguments of a `report_parser` (UsageError) and read the images."""
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
    """Add the image size for counting a model."""
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar=('H', 'W'),
        help='image size; by default the training crop for classifiers, 800 1280 for '
        'detectors, 512 2048 for segmenters',
    )


def read_shape(args: argparse.Namespace) -> tuple[int, int] | None:
    """Return height and width from `add_shape`, or None; raise UsageError if they are invalid."""
    shape = args.shape or []
    if len(shape) > 2 or any(side < 1 for side in shape):
        raise UsageError(f'--shape must be positive: H W, or the side of a square, got {shape}')
    return (shape[0], shape[-1]) if shape else None

"""Serve a web page on which visitors can try models on their own images and videos.

`MODEL` is `CONFIG CHECKPOINT`, or `[NAME=]CONFIG,CHECKPOINT` for each of several; names, folders
and exported files, as in `mmsmt predict`, need no checkpoint.
"""

import argparse
import re
from pathlib import Path

from mmsmt.engine.tool import quiet, run_tool
from mmsmt.errors import UsageError
from mmsmt.hosts.request import Request, parse_requests
from mmsmt.web.server import serve
from mmsmt.web.uploads import Limits

UNITS = {'': 1, 'KB': 10**3, 'MB': 10**6, 'GB': 10**9}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add, usual = parser.add_argument, Limits()
    add('models', nargs='+', metavar='MODEL', help='see mmsmt predict')
    add('--host', default='127.0.0.1', help='address to listen on (%(default)s: this machine only)')
    add('--port', type=int, default=7860, help='port; 0 for a free one (%(default)s)')
    add('--device', help='cpu, cuda or cuda:1 (the GPU, if there is one)')
    add('--max-upload', default='20MB', help='maximum file size (%(default)s)')
    add(
        '--max-pixels',
        type=int,
        default=usual.pixels,
        help='maximum pixels of an image (%(default)s)',
    )
    add(
        '--max-frames',
        type=int,
        default=usual.frames,
        help='maximum frames of a video (%(default)s)',
    )
    add(
        '--max-waiting',
        type=int,
        default=usual.waiting,
        help='maximum number of waiting visitors (%(default)s)',
    )
    return parser.parse_args()


def read_requests(models: list[str]) -> list[Request]:
    """Parse the models on the command line."""
    if len(models) == 2 and not any(',' in model for model in models):
        config, checkpoint = models
        return [Request(Path(config).stem, config, checkpoint)]
    return parse_requests(models)


def read_limits(args: argparse.Namespace) -> Limits:
    """Parse the limits, which must be positive."""
    found = re.fullmatch(r'(\d+) *([KMG]?B)?', args.max_upload.upper())
    if not found:
        raise UsageError(f'--max-upload {args.max_upload}: must be a size such as 500KB or 20MB')
    size = int(found[1]) * UNITS[found[2] or '']
    limits = Limits(size, args.max_pixels, args.max_frames, args.max_waiting)
    for name, value in limits._asdict().items():
        if value < 1:
            raise UsageError(f'--max-{name.removesuffix("_bytes")} must be positive, got {value}')
    return limits


def main() -> None:
    """Load the models and serve the page."""
    args = parse_args()
    quiet()
    run_tool(
        lambda: (read_requests(args.models), read_limits(args)),
        lambda read: serve(read[0], args.host, args.port, read[1], args.device),
    )


if __name__ == '__main__':
    main()

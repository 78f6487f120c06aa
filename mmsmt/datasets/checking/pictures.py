"""Opening pictures: all of them, or a sample."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from threading import Lock
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from mmsmt.datasets.checking.findings import Finding, count, some

SAMPLE = 50  # pictures of each data set without `full`: about a second
CHUNK = 16  # pictures handed to a thread at once
# How the hosts' decoder, OpenCV in colour, reads what is no 8-bit RGB, by Pillow's mode.
READ_AS = {
    '1': 'three equal channels',
    'L': 'three equal channels',
    'LA': 'three equal channels without the transparency',
    'P': 'the colours of the palette',
    'RGBA': 'RGB without the transparency',
    'CMYK': 'RGB',
    'I;16': 'three equal channels of the upper 8 bits',
}
USUAL_FORMATS = ('JPEG', 'MPO', 'PNG', 'BMP')  # MPO: a JPEG with previews, as cameras write it
HUGE = 50_000_000  # pixels, 150 MB decoded; only one such picture is open at a time
ONE_HUGE = Lock()
# EXIF orientations that exchange width and height (CIPA DC-008, tag 0x0112).
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
# What Pillow's decoders raise on damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
Item = TypeVar('Item')
Result = TypeVar('Result')


def no_progress(items: Iterable[Any], **_: Any) -> Iterable[Any]:
    """Stand in for `rich.progress.Progress.track` where nobody watches."""
    return items


@dataclass(frozen=True)
class Opener:
    """How pictures are opened.

    Attributes:
        full: All of them; else an even sample of 50. Default False.
        track: Wraps an iterable as `rich.progress.Progress.track` does. Default: shows nothing.
    """

    full: bool = False
    track: Callable[..., Iterable[Any]] = no_progress

    def choose(self, items: Sequence[Item]) -> list[Item]:
        """All items, or evenly spaced ones, the same in every run."""
        if self.full or len(items) <= SAMPLE:
            return list(items)
        return [items[i] for i in np.linspace(0, len(items) - 1, SAMPLE).astype(int)]

    def run(
        self, look: Callable[[Item], Result], items: Sequence[Item], what: str
    ) -> Iterator[tuple[Item, Result]]:
        """Look at the chosen items in threads, decoders being free of Python's lock."""
        chosen = self.choose(items)
        with ThreadPool(os.cpu_count()) as pool:
            results = pool.imap(look, chosen, chunksize=CHUNK)
            tracked = self.track(results, total=len(chosen), description=what)
            yield from zip(chosen, tracked)


class Picture(NamedTuple):
    """What opening a picture showed.

    Args:
        size: Width and height in pixels, as the hosts see them; None where it cannot be read.
        damage: Why it cannot be read.
        oddity: What is unusual about it, although it can be read.
        level: Of the oddity.
    """

    size: tuple[int, int] | None
    damage: str = ''
    oddity: str = ''
    level: Literal['warning', 'note'] = 'warning'


def look_at(path: str) -> Picture:
    """Open and decode a picture.

    Args:
        path: The file.
    """
    try:
        with Image.open(path) as image:
            size, mode = seen_size(image), image.mode
            with ONE_HUGE if size[0] * size[1] > HUGE else nullcontext():
                image.load()
            frames = 1 if image.format == 'MPO' else getattr(image, 'n_frames', 1)
            usual = image.format in USUAL_FORMATS and (mode == 'RGB' or mode in READ_AS)
            kind = f'{image.format} in mode {mode}'
    except DAMAGE as error:
        return Picture(None, damage=describe(error, path))
    if not usual and not _is_read_by_hosts(path):
        return Picture(None, damage=f'is a {kind}, which the hosts cannot read')
    if min(size) < 2:
        return Picture(size, oddity=f'of {size[0]}x{size[1]} pixels')
    if frames > 1:
        return Picture(size, oddity='of several frames, of which the hosts read the first')
    if mode != 'RGB':
        oddity = f'in mode {mode}, which the hosts read as {READ_AS.get(mode, "RGB")}'
        return Picture(size, oddity=oddity, level='note' if mode == 'L' else 'warning')
    return Picture(size)


def seen_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in pixels as the hosts see a picture: turned as its EXIF data say."""
    turned = image.getexif().get(ORIENTATION) in TURNED
    return image.size[::-1] if turned else image.size


def _is_read_by_hosts(path: str) -> bool:
    import cv2  # here, since it is seldom asked

    return cv2.imread(path) is not None


def describe(error: BaseException, path: str) -> str:
    """Say why a picture cannot be read."""
    if os.path.isfile(path) and not os.path.getsize(path):
        return 'is empty'
    if isinstance(error, Image.DecompressionBombError):
        return f'claims more pixels than the {2 * (Image.MAX_IMAGE_PIXELS or 0):,} that are read'
    if 'truncated' in str(error).lower():
        return 'is truncated'
    return f'cannot be read as a picture ({str(error).replace(path, "file")})'


def check_images(
    paths: Sequence[str],
    folder: str,
    opener: Opener,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> Iterator[Finding]:
    """Open images.

    Args:
        paths: The files.
        folder: Where they are, for findings about many.
        opener: All or a sample.
        sizes: Width and height in pixels that an annotation file gives, by path. Default: none.
    """
    odd: dict[tuple[Any, str], list[str]] = {}
    wanted = sizes or {}
    for path, picture in opener.run(look_at, paths, f'opening {folder}'):
        if picture.size is None:
            yield Finding('error', path, picture.damage, 'copy it anew or take it out')
            continue
        if picture.oddity:
            kind = picture.level, picture.oddity
            odd.setdefault(kind, []).append(os.path.relpath(path, folder))
        if picture.size != wanted.get(path, picture.size):
            found, said = (f'{width}x{height}' for width, height in (picture.size, wanted[path]))
            right = f'the annotation file says {said} (width x height): boxes would not fit'
            yield Finding('error', path, f'is {found} pixels', right)
    for (level, oddity), names in odd.items():
        yield Finding(level, folder, f'{count(len(names), "image")} {oddity}: {some(names)}')

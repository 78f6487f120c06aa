"""Opening pictures: all of them, or a sample."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from mmsmt.datasets.checking.findings import Finding, count, some

SAMPLE = 50  # pictures of each data set without `full`: about a second
CHUNK = 16  # pictures handed to a thread at once
USUAL_MODES = ('RGB', 'L')
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
    """

    size: tuple[int, int] | None
    damage: str = ''
    oddity: str = ''


def look_at(path: str) -> Picture:
    """Open and decode a picture.

    Args:
        path: The file.
    """
    try:
        with Image.open(path) as image:
            image.load()
            turned = image.getexif().get(ORIENTATION) in TURNED
    except DAMAGE as error:
        return Picture(None, damage=describe(error, path))
    size = image.size[::-1] if turned else image.size
    if min(size) < 2:
        return Picture(size, oddity=f'of {size[0]}x{size[1]} pixels')
    if image.mode not in USUAL_MODES:
        return Picture(size, oddity=f'in mode {image.mode}, which the hosts convert to 8-bit RGB')
    return Picture(size)


def describe(error: BaseException, path: str) -> str:
    """Say why a picture cannot be read."""
    if os.path.isfile(path) and not os.path.getsize(path):
        return 'is empty'
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
    odd: dict[str, list[str]] = {}
    wanted = sizes or {}
    for path, picture in opener.run(look_at, paths, f'opening {folder}'):
        if picture.size is None:
            yield Finding('error', path, picture.damage, 'copy it anew or take it out')
            continue
        if picture.oddity:
            odd.setdefault(picture.oddity, []).append(os.path.relpath(path, folder))
        if picture.size != wanted.get(path, picture.size):
            found, said = (f'{width}x{height}' for width, height in (picture.size, wanted[path]))
            right = f'the annotation file says {said} (width x height): boxes would not fit'
            yield Finding('error', path, f'is {found} pixels', right)
    for oddity, names in odd.items():
        wrong = f'{count(len(names), "image")} {oddity}: {some(names)}'
        yield Finding('warning', folder, wrong)

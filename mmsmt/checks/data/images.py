"""Check of a data set's images by opening all of them, or a sample."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import Any, TypeVar

import numpy as np

from mmsmt.checks.data.findings import Finding
from mmsmt.datasets.image_files import look_at
from mmsmt.text import count, some

SAMPLE = 50  # images per data set without `full`: about a second
CHUNK = 16  # images per task of a thread
Item = TypeVar('Item')
Result = TypeVar('Result')


@dataclass(frozen=True)
class Opener:
    """Opens images in threads.

    Attributes:
        full: Whether to open all images, or an even sample of 50.
        track: Wraps an iterable like `rich.progress.Progress.track`; shows nothing by default.
    """

    full: bool = False
    track: Callable[..., Iterable[Any]] = lambda items, **_: items

    def choose(self, items: Sequence[Item]) -> list[Item]:
        """Select all items, or evenly spaced ones, the same in every run."""
        if self.full or len(items) <= SAMPLE:
            return list(items)
        return [items[i] for i in np.linspace(0, len(items) - 1, SAMPLE).astype(int)]

    def run(
        self, look: Callable[[Item], Result], items: Sequence[Item], what: str
    ) -> Iterator[tuple[Item, Result]]:
        """Process the selected items in threads; decoders release Python's lock."""
        chosen = self.choose(items)
        with ThreadPool(os.cpu_count()) as pool:
            results = pool.imap(look, chosen, chunksize=CHUNK)
            tracked = self.track(results, total=len(chosen), description=what)
            yield from zip(chosen, tracked)


def check_images(
    paths: Sequence[str],
    folder: str,
    opener: Opener,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> Iterator[Finding]:
    """Open images of a folder; an annotation file may give their width and height in pixels."""
    odd: dict[tuple[Any, str], list[str]] = {}
    wanted = sizes or {}
    for path, picture in opener.run(look_at, paths, f'opening {folder}'):
        if picture.size is None:
            yield Finding('error', path, picture.damage, 'copy it again or remove it')
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

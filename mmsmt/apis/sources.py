"""Images to predict, from a file, a folder, a glob pattern, a video or a webcam."""

import sys
from collections.abc import Generator, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torchvision.datasets.folder import IMG_EXTENSIONS

from mmsmt.errors import UsageError
from mmsmt.text import count

VIDEO_EXTENSIONS = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.mpg', '.mpeg')
USUAL_FPS = 25.0


class Item(NamedTuple):
    """One image to predict.

    Args:
        name: Stem of the files written for it; unique in its source.
        label: Name in results: the path relative to the source, or the name of a frame.
        path: File that holds the image.
        frame: The pixels of a frame, BGR (H, W, 3) uint8; None for a file.
    """

    name: str
    label: str
    path: str
    frame: np.ndarray | None = None


class Images:
    """Image files, sorted by name."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self.root, self.files = root, files

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Item]:
        labels = [file.relative_to(self.root) for file in self.files]
        names = [label.with_suffix('').as_posix() for label in labels]
        # Unique also on case-insensitive file systems.
        if len({name.casefold() for name in names}) < len(names):
            names = [label.as_posix() for label in labels]
        for name, label, file in zip(names, labels, self.files, strict=True):
            yield Item(name, label.as_posix(), str(file))


class Video:
    """Frames of a video file or a webcam.

    Attributes:
        name: Stem of the files written for it.
        fps: Frames per second.
        endless: Whether it is a webcam, which is stopped with Ctrl-C.
    """

    def __init__(self, source: str) -> None:
        import cv2

        self.source = source
        self.endless = source.isdecimal()
        self.name = f'webcam_{source}' if self.endless else Path(source).stem
        opened: Any = int(source) if self.endless else source
        self.capture = cv2.VideoCapture(opened)
        if not self.capture.isOpened():
            what = f'webcam {source}' if self.endless else source
            raise UsageError(f'{what}: cannot be opened as a video')
        self.fps = self.capture.get(cv2.CAP_PROP_FPS) or USUAL_FPS
        self.expected = 0 if self.endless else int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))

    def __len__(self) -> int:
        return max(self.expected, 0)

    def __iter__(self) -> Iterator[Item]:
        return self.frames()

    def frames(self) -> Generator[Item, None, None]:
        """Yield the frames in order; closing the generator closes the file."""
        number = 0
        try:
            while True:
                good, frame = self.capture.read()
                if not good:
                    break
                name = f'{self.name}/{number:06}'
                yield Item(name, name, self.source, frame)
                number += 1
        finally:
            self.capture.release()
        if not number:
            raise UsageError(f'{self.source}: no frame can be read')
        if number < self.expected:
            text = f'{number:,} of the {count(self.expected, "frame")} in its header can be read'
            print(f'warning: {self.source}: {text}', file=sys.stderr)


def open_source(source: str, without: Path | None = None) -> Images | Video:
    """Find the images that a source means.

    Args:
        source: An image or video file, a folder (searched recursively), a glob pattern, or the
            number of a webcam.
        without: Folder to skip: that of the results, which may be inside the source.

    Raises:
        UsageError: If there is no such file, or no image in it.
    """
    path = Path(source)
    if path.is_dir():
        return _images(source, path, path.rglob('*'), without)
    if path.is_file():
        if path.suffix.lower() in VIDEO_EXTENSIONS:
            return Video(source)
        if path.suffix.lower() in IMG_EXTENSIONS:
            return Images(path.parent, [path])
        known = ', '.join((*IMG_EXTENSIONS, *VIDEO_EXTENSIONS))
        raise UsageError(f'{source}: not an image or video ({known})')
    if source.isdecimal():
        return Video(source)
    if has_magic(source):
        parts = path.parts
        fixed = next(i for i, part in enumerate(parts) if has_magic(part))
        root = Path(*parts[:fixed])
        return _images(source, root, map(Path, glob(source, recursive=True)), without)
    raise UsageError(f'{source}: no such file or folder')


def _images(source: str, root: Path, found: Iterator[Path], without: Path | None) -> Images:
    files = sorted(
        file
        for file in found
        if file.suffix.lower() in IMG_EXTENSIONS
        and file.is_file()
        and not (without and file.resolve().is_relative_to(without.resolve()))
    )
    if not files:
        raise UsageError(f'{source}: no images in it ({", ".join(IMG_EXTENSIONS)})')
    return Images(root, files)

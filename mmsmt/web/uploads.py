"""What visitors upload: images and videos, within limits that are checked before decoding."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from torchvision.datasets.folder import IMG_EXTENSIONS

from mmsmt.apis.sources import VIDEO_EXTENSIONS, Item, Video
from mmsmt.datasets.image_files import DAMAGE, describe, seen_size
from mmsmt.errors import BadSampleError
from mmsmt.text import count

FORMATS = ('JPEG', 'PNG', 'BMP', 'PPM', 'TIFF', 'WEBP')
# First bytes of videos, and their offsets. FFmpeg detects formats by content: a playlist named like
# a video would make it open the files that the playlist names.
CONTAINERS = (
    (4, b'ftyp'),  # .mp4, .mov, .m4v
    (4, b'moov'),
    (4, b'mdat'),
    (4, b'wide'),
    (4, b'free'),
    (8, b'AVI '),
    (0, b'\x1aE\xdf\xa3'),  # .mkv, .webm
    (0, b'\x00\x00\x01\xba'),  # .mpg
    (0, b'\x00\x00\x01\xb3'),
)
# Longest side in pixels for prediction and drawing. Usual test pipelines resize to less, and the
# memory for a hundred masks or class scores grows with it.
LONGEST_SIDE = 1280


class Limits(NamedTuple):
    """Limits for one visitor."""

    upload_bytes: int = 20_000_000
    pixels: int = 50_000_000  # of an image or frame, from its header
    frames: int = 100  # of a video; later ones are ignored
    waiting: int = 20  # waiting visitors, or requests of one visitor


class Upload(NamedTuple):
    """An uploaded file that can be predicted."""

    path: Path
    size: tuple[int, int]  # width and height in pixels
    frames: int  # number of predicted frames; 0 for an image
    left_out: int = 0  # number of ignored frames
    fps: float = 0.0

    def __str__(self) -> str:
        words = f'{self.path.name} ({self.size[0]:,} x {self.size[1]:,}'
        if max(self.size) > LONGEST_SIDE:
            words += f', reduced to {LONGEST_SIDE:,}'
        if self.left_out:
            words += f', the first {self.frames:,} of {self.frames + self.left_out:,} frames'
        return f'{words})'

    def items(self) -> Iterator[Item]:
        """Yield the image, or the frames in order.

        Raises:
            BadSampleError: If the file is damaged.
        """
        if self.frames:
            with closing(Video(str(self.path)).frames()) as frames:
                for item in islice(frames, self.frames):
                    assert item.frame is not None
                    yield item._replace(frame=_reduce_frame(item.frame))
        elif max(self.size) > LONGEST_SIDE:
            name = self.path.name
            yield Item(name, name, str(self.path), _read_reduced(self.path))
        else:
            yield Item(self.path.name, self.path.name, str(self.path))


def open_upload(path: Path, limits: Limits) -> Upload:
    """Check the header of an uploaded file.

    Raises:
        BadSampleError: If it is not an image or video, or exceeds the limits.
    """
    name, suffix = path.name, path.suffix.lower()
    if not path.is_file():
        raise BadSampleError('the file is no longer available: please drop it again')
    if path.stat().st_size > limits.upload_bytes:
        raise BadSampleError(f'{name} has more than {count(limits.upload_bytes, "byte")}')
    if suffix in VIDEO_EXTENSIONS:
        return _open_video(path, limits)
    if suffix in IMG_EXTENSIONS:
        return Upload(path, _image_size(path, limits), 0)
    known = ' '.join((*IMG_EXTENSIONS, *VIDEO_EXTENSIONS))
    raise BadSampleError(f'{name} is not an image or video; the page accepts {known}')


def _image_size(path: Path, limits: Limits) -> tuple[int, int]:
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > limits.pixels:
                raise BadSampleError(_too_large(path.name, f' {width:,} x {height:,}', limits))
            return seen_size(image)  # decodes a PNG
    except Image.DecompressionBombError as error:  # more than Pillow itself accepts
        raise BadSampleError(_too_large(path.name, '', limits)) from error
    except DAMAGE as error:
        raise BadSampleError(f'{path.name} {describe(error, str(path))}') from error


def _open_video(path: Path, limits: Limits) -> Upload:
    with path.open('rb') as file:
        head = file.read(16)
    if not any(head[place:].startswith(mark) for place, mark in CONTAINERS):
        raise BadSampleError(f'{path.name} is not a video, despite its name')
    video = Video(str(path))
    width, height = (int(video.capture.get(field)) for field in (3, 4))  # OpenCV property ids
    video.capture.release()
    if width * height > limits.pixels:
        raise BadSampleError(_too_large(path.name, f' {width:,} x {height:,}', limits))
    expected = len(video) or limits.frames  # some headers lack it
    frames = min(expected, limits.frames)
    return Upload(path, (width, height), frames, expected - frames, video.fps)


def _too_large(name: str, size: str, limits: Limits) -> str:
    return f'{name} has{size or " too many"} pixels; the limit is {limits.pixels:,}'


def _read_reduced(path: Path) -> np.ndarray:
    """Read a large image, BGR (H, W, 3) uint8; a JPEG is reduced while it is decoded."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.draft('RGB', (LONGEST_SIDE, LONGEST_SIDE))
            turned: Any = ImageOps.exif_transpose(image)
            turned.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            return np.ascontiguousarray(np.asarray(turned.convert('RGB'))[..., ::-1])
    except DAMAGE as error:
        raise BadSampleError(f'{path.name} {describe(error, str(path))}') from error


def _reduce_frame(frame: np.ndarray) -> np.ndarray:
    import cv2

    scale = LONGEST_SIDE / max(frame.shape[:2])
    if scale >= 1:
        return frame
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)

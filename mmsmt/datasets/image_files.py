"""Checks of image files: damage, and unusual formats."""

import os
import struct
from contextlib import nullcontext
from threading import Lock
from typing import Literal, NamedTuple

from PIL import Image

# How OpenCV in colour, the hosts' decoder, reads other modes than 8-bit RGB, by Pillow's mode.
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
HUGE = 50_000_000  # pixels, 150 MB decoded; only one such image is open at a time
ONE_HUGE = Lock()
# EXIF orientations that exchange width and height (CIPA DC-008, tag 0x0112).
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
# Exceptions of Pillow's decoders for damaged files.
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


class Picture(NamedTuple):
    """Result of opening an image file."""

    size: tuple[int, int] | None  # width, height in px, as read by the hosts; None if unreadable
    damage: str = ''  # why it cannot be read
    oddity: str = ''  # what is unusual about it, although it can be read
    level: Literal['warning', 'note'] = 'warning'  # of the oddity


def look_at(path: str) -> Picture:
    """Open and decode an image file."""
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
        return Picture(size, oddity='of several frames; the hosts read only the first')
    if mode != 'RGB':
        oddity = f'in mode {mode}, which the hosts read as {READ_AS.get(mode, "RGB")}'
        return Picture(size, oddity=oddity, level='note' if mode == 'L' else 'warning')
    return Picture(size)


def seen_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height in pixels as read by the hosts: rotated by the EXIF orientation."""
    turned = image.getexif().get(ORIENTATION) in TURNED
    return image.size[::-1] if turned else image.size


def _is_read_by_hosts(path: str) -> bool:
    import cv2  # imported here because it is rarely needed

    return cv2.imread(path) is not None


def describe(error: BaseException, path: str) -> str:
    """Describe why an image cannot be read."""
    if os.path.isfile(path) and not os.path.getsize(path):
        return 'is empty'
    if isinstance(error, Image.DecompressionBombError):
        return f'claims more than the maximum of {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels'
    if 'truncated' in str(error).lower():
        return 'is truncated'
    return f'cannot be read as an image ({str(error).replace(path, "file")})'

"""Upscaling of 8x8 digits to opacity maps of any height, with smooth outlines.

The ink counts the black pixels of 4x4 blocks, so interpolating it and thresholding at about half
restores the outline of the pen stroke instead of a blurred one.
"""

from typing import Any

import numpy as np
from PIL import Image

MARGIN = 3  # empty cells on each side, so that a rotated digit is not cut off
CUT = 0.5
EDGE = 0.2  # range of ink in which opacity rises from 0 to 1

MAX_ROTATION = 12.0
MAX_SHEAR = 0.2
MAX_STRETCH = 0.15


def warp_ink(
    ink: np.ndarray,
    extent: int,
    scale: float,
    rotation: float = 0.0,
    shear: float = 0.0,
    stretch: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Enlarge and distort a digit smoothly, centred in a square.

    Args:
        ink: One digit, shape (8, 8), float32 in [0, 1].
        extent: Side of the square in pixels.
        scale: Pixels per cell of the ink.
        rotation: Degrees, counter-clockwise.
        shear: Sideways shift per unit of height; positive leans to the right.
        stretch: Factor on the width.
        shift: Pixels to the right and down.

    Returns:
        Ink, shape (extent, extent), float32, about in [0, 1].
    """
    turn = np.deg2rad(rotation)
    cos, sin = np.cos(turn), np.sin(turn)
    forward = np.array([[cos, sin], [-sin, cos]]) @ np.array([[stretch, -shear], [0, 1]])
    # PIL needs the inverse map, from output to input pixels, about the centre.
    backward = np.linalg.inv(forward * scale)
    centre = len(ink) / 2 + MARGIN
    offset = centre - backward @ (np.full(2, extent / 2) + shift)
    matrix = np.column_stack([backward, offset]).ravel().tolist()
    paper = Image.fromarray(np.pad(ink, MARGIN))
    affine, bicubic = Image.Transform.AFFINE, Image.Resampling.BICUBIC
    return np.asarray(paper.transform((extent, extent), affine, matrix, bicubic))


def draw_glyph(
    ink: np.ndarray, height: int, max_width: int | None = None, **distortion: Any
) -> np.ndarray:
    """Draw a digit of a given height, cropped to its ink.

    Args:
        ink: One digit, shape (8, 8), float32 in [0, 1].
        height: Height of the inked part in pixels, at least 1.
        max_width: Maximum width in pixels; a wider digit is scaled down to it. No limit by
            default.
        **distortion: `rotation`, `shear` and `stretch` of `warp_ink`.

    Returns:
        Opacity, shape (height, width), float32 in [0, 1]; the digit is where it exceeds 0.5.
    """
    scale = height // len(ink) + 2  # px per cell: drawn slightly too large, then reduced
    paper = warp_ink(ink, (len(ink) + 2 * MARGIN) * scale, scale, **distortion)
    drawing = ((paper - CUT) / EDGE + 0.5).clip(0, 1)
    rows, columns = (np.flatnonzero((drawing > 0.5).any(axis=axis)) for axis in (1, 0))
    drawing = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    aspect = drawing.shape[1] / drawing.shape[0]
    if max_width is not None:
        height = min(height, int(max_width / aspect))
    width = max(1, round(height * aspect))
    resized = Image.fromarray(drawing).resize((width, height), Image.Resampling.HAMMING)
    return np.asarray(resized).clip(0, 1)


def draw_random_glyph(
    ink: np.ndarray, heights: tuple[int, int], max_width: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw a digit like `draw_glyph`, slightly distorted.

    Its height is drawn log-uniformly from `heights`, in pixels.
    """
    height = round(float(np.exp(rng.uniform(*np.log(heights)))))
    return draw_glyph(ink, height, max_width, **draw_distortion(rng))


def draw_distortion(rng: np.random.Generator) -> dict[str, float]:
    """Draw a small `rotation`, `shear` and `stretch`."""
    return dict(
        rotation=rng.uniform(-MAX_ROTATION, MAX_ROTATION),
        shear=rng.uniform(-MAX_SHEAR, MAX_SHEAR),
        stretch=rng.uniform(1 - MAX_STRETCH, 1 + MAX_STRETCH),
    )

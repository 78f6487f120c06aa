"""Single digits on 64x64 tiles, for classification.

A plain tile shows the sample itself, white on black; a coloured one the same in
two colours; a rendered one shows it as a scene would, so that what a classifier
learns serves detection as well.
"""

import numpy as np
from PIL import Image

from mmsmt.datasets.digits.glyphs import draw_distortion, draw_random_glyph, warp_ink
from mmsmt.datasets.digits.painting import paint, to_uint8
from mmsmt.datasets.digits.photographs import crop_background

TILE = 64
HEIGHTS = (24, 64)  # px, drawn log-uniformly
ZOOM = (0.75, 1.1)  # of a coloured tile, as a factor on a plain one's
SHIFT = 4.0  # px


def plain_tile(ink: np.ndarray) -> np.ndarray:
    """Enlarge a sample smoothly to the tile, white on black.

    Args:
        ink: One digit, shape (8, 8), float32 in [0, 1].

    Returns:
        RGB, shape (64, 64, 3), uint8.
    """
    return np.repeat(to_uint8(_enlarge(ink))[..., None], 3, axis=2)


def _enlarge(ink: np.ndarray) -> np.ndarray:
    size = (TILE, TILE)
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)


def coloured_tile(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarge a sample like a plain tile, a little distorted and smaller or shifted, in one
    random readable colour on another.

    Args:
        ink: One digit, shape (8, 8), float32 in [0, 1].
        rng: Source of all random choices.

    Returns:
        RGB, shape (64, 64, 3), uint8.
    """
    picture = np.full((TILE, TILE, 3), rng.random(3), dtype=np.float32)
    scale = TILE / len(ink) * rng.uniform(*ZOOM)
    shift = tuple(rng.uniform(-SHIFT, SHIFT, 2))
    warped = warp_ink(ink, TILE, scale, **draw_distortion(rng), shift=shift)
    paint(picture, warped.clip(0, 1), 0, 0, rng)
    return to_uint8(picture)


def rendered_tile(
    ink: np.ndarray, photographs: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Paint a sample at a random scale and place on a photograph.

    Args:
        ink: One digit, shape (8, 8), float32 in [0, 1].
        photographs: Background parts, each (H, W, 3), uint8, RGB.
        rng: Source of all random choices.

    Returns:
        RGB, shape (64, 64, 3), uint8; the digit lies fully inside.
    """
    picture = crop_background(photographs, TILE, rng)
    opacity = draw_random_glyph(ink, HEIGHTS, TILE, rng)
    top, left = (int(rng.integers(TILE - extent + 1)) for extent in opacity.shape)
    paint(picture, opacity, top, left, rng)
    return to_uint8(picture)

"""Single digits on 64x64 tiles, for classification: RGB, shape (64, 64, 3), uint8.

A plain tile shows the sample white on black; a coloured one shows it in two colours; a rendered one
shows it as in a scene, so that a pre-trained classifier helps detection.
"""

import numpy as np
from PIL import Image

from mmsmt.datasets.digits.glyphs import draw_distortion, draw_random_glyph, warp_ink
from mmsmt.datasets.digits.painting import paint, to_uint8
from mmsmt.datasets.digits.photographs import crop_background

TILE = 64
HEIGHTS = (24, 64)  # px, drawn log-uniformly
ZOOM = (0.75, 1.1)  # of a coloured tile relative to a plain one
SHIFT = 4.0  # px


def plain_tile(ink: np.ndarray) -> np.ndarray:
    """Enlarge a sample, shape (8, 8), float32 in [0, 1], smoothly to a tile, white on black."""
    enlarged = Image.fromarray(ink).resize((TILE, TILE), Image.Resampling.BICUBIC)
    return np.repeat(to_uint8(np.asarray(enlarged).clip(0, 1))[..., None], 3, axis=2)


def coloured_tile(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a sample in one random readable colour on another.

    It is slightly distorted, and smaller or shifted compared with a plain tile.
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
    """Paint a whole sample at a random scale and place on a photograph."""
    picture = crop_background(photographs, TILE, rng)
    opacity = draw_random_glyph(ink, HEIGHTS, TILE, rng)
    top, left = (int(rng.integers(TILE - extent + 1)) for extent in opacity.shape)
    paint(picture, opacity, top, left, rng)
    return to_uint8(picture)

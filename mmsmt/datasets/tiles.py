"""Single digits on 64x64 tiles, for classification.

A plain tile shows the sample itself, white on black; a rendered one shows it
as a scene would, so that what a classifier learns serves detection as well.
"""

import numpy as np
from PIL import Image

from mmsmt.datasets.glyphs import draw_random_glyph
from mmsmt.datasets.painting import paint, to_uint8
from mmsmt.datasets.photographs import crop_background

TILE = 64
HEIGHTS = (24, 64)  # px, drawn log-uniformly


def plain_tile(ink: np.ndarray) -> np.ndarray:
    """Enlarge a sample smoothly to the tile, white on black.

    Args:
        ink: One digit, shape (8, 8), float32 in [0, 1].

    Returns:
        RGB, shape (64, 64, 3), uint8.
    """
    grey = np.asarray(Image.fromarray(ink).resize((TILE, TILE), Image.Resampling.BICUBIC)).clip(
        0, 1
    )
    return np.repeat(to_uint8(grey)[..., None], 3, axis=2)


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

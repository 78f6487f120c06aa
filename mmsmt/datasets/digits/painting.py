"""Painting of digits on a picture in a readable colour."""

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
MIN_CONTRAST = 0.3
OUTLIERS = 0.02  # share of the darkest and of the brightest pixels ignored for contrast
REACH = 3  # px around a digit with which its colour must contrast


def pick_colour(surroundings: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Draw a colour clearly brighter or clearly darker than its surroundings.

    Its luma differs by `MIN_CONTRAST` from the range of the surroundings, shape (H, W, 3), where
    `OUTLIERS` are ignored at both ends.

    Returns:
        RGB, shape (3,), float32 in [0, 1]; None if the surroundings are both too dark and too
            bright.
    """
    dark, bright = np.quantile(surroundings @ LUMA, [OUTLIERS, 1 - OUTLIERS])
    ranges = [(0.0, dark - MIN_CONTRAST), (bright + MIN_CONTRAST, 1.0)]
    ranges = [(low, high) for low, high in ranges if low <= high]
    if not ranges:
        return None
    luma = rng.uniform(*ranges[rng.integers(len(ranges))])
    colour = rng.random(3, dtype=np.float32)
    drawn = colour @ LUMA
    if drawn > luma:
        return colour * np.float32(luma / drawn)
    return 1 - (1 - colour) * np.float32((1 - luma) / (1 - drawn))


def paint(
    picture: np.ndarray, opacity: np.ndarray, top: int, left: int, rng: np.random.Generator
) -> bool:
    """Paint a digit on a picture, in place, in a colour drawn by `pick_colour`.

    The picture is RGB, shape (H, W, 3), the digit's opacity has shape (h, w); both are float32 in
    [0, 1]. The digit must lie inside the picture.

    Returns:
        Whether it was painted: False if no colour is readable.
    """
    bottom, right = top + opacity.shape[0], left + opacity.shape[1]
    around = picture[max(0, top - REACH) : bottom + REACH, max(0, left - REACH) : right + REACH]
    colour = pick_colour(around, rng)
    if colour is None:
        return False
    patch = picture[top:bottom, left:right]
    patch += opacity[..., None] * (colour - patch)
    return True


def to_uint8(picture: np.ndarray) -> np.ndarray:
    """Round a picture in [0, 1] to 8-bit values, same shape."""
    return np.rint(picture * 255).astype(np.uint8)

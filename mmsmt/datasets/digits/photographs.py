"""Backgrounds: random crops of the two photographs bundled with scikit-learn.

Each photograph is split by a vertical line; training crops come from the left of it, validation
crops from the right, so the two share no pixel.
"""

import numpy as np
from PIL import Image

TRAIN_FRACTION = 0.6
CROP_SIDES = (96, 256)  # px; 256 is the width of the narrower (validation) part
CONTRAST = (0.35, 0.75)
BRIGHTNESS = (0.3, 0.7)
# Both bounds leave more than `painting.MIN_CONTRAST`, so the first digit is readable anywhere.
RANGES = ((0.0, 0.69), (0.31, 1.0))


def load_photographs() -> dict[str, list[np.ndarray]]:
    """Load the disjoint parts of both photographs.

    Returns:
        Two arrays each for `train` and `val`, (H, W, 3), uint8, RGB.
    """
    from sklearn.datasets import load_sample_images  # from the extra `digits`

    images = load_sample_images().images
    borders = [round(image.shape[1] * TRAIN_FRACTION) for image in images]
    return {
        'train': [image[:, :border] for image, border in zip(images, borders)],
        'val': [image[:, border:] for image, border in zip(images, borders)],
    }


def crop_background(
    photographs: list[np.ndarray], size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw a square crop at a random place and scale, possibly flipped.

    Contrast and brightness are random too, so that a model cannot recognise a digit by absolute
    colour. Every crop leaves room for a brighter or a darker digit.

    Returns:
        RGB, shape (size, size, 3), float32 in [0, 1].
    """
    photograph = photographs[rng.integers(len(photographs))]
    side = rng.integers(CROP_SIDES[0], CROP_SIDES[1] + 1)
    top, left = (rng.integers(extent - side + 1) for extent in photograph.shape[:2])
    crop = photograph[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < 0.5:
        crop = crop[::-1]
    image = Image.fromarray(np.ascontiguousarray(crop))
    resized = image.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized, dtype=np.float32) / 255
    pixels = (pixels - pixels.mean()) * rng.uniform(*CONTRAST) + rng.uniform(*BRIGHTNESS)
    return pixels.clip(*RANGES[rng.integers(len(RANGES))]).astype(np.float32)

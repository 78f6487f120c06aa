"""Blurred, noisy and compressed images.

The kinds are three of "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", https://arxiv.org/abs/1903.12261; the strengths are ours and start at none.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

SIGMAS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)  # px in a crop of 224 pixels
DEVIATIONS = (0.0, 0.04, 0.08, 0.12, 0.18, 0.26)  # of values from 0 to 1
QUALITIES = (95.0, 75.0, 50.0, 30.0, 20.0, 10.0)


def blur(image: Image.Image, sigma: float) -> Image.Image:
    """Blur an image with a Gaussian of `sigma` pixels."""
    return image.filter(ImageFilter.GaussianBlur(sigma))


def add_noise(image: Image.Image, deviation: float, seed: list[int]) -> Image.Image:
    """Add normal noise, independent for every value; `deviation` is relative to white."""
    pixels = np.asarray(image, dtype=np.float64)
    noise = np.random.default_rng(seed).normal(0, 255 * deviation, pixels.shape)
    return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))


def compress(image: Image.Image, quality: float) -> Image.Image:
    """Save an image as JPEG of a quality from 1 to 95, and read it again."""
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=int(quality))
    with Image.open(file) as saved:
        return saved.convert('RGB')

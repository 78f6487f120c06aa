"""Scenes: digits at very different scales on a photograph.

Digits are painted one after the other, each fully inside the picture, large ones first so that none
hides a much smaller one. A place is rejected if it would hide too much of an earlier digit, or if
the new digit would be unreadable. A map of owners records the digit that each pixel shows, and all
annotations are read from that map, so boxes, masks and semantic labels are consistent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mmsmt.datasets.digits.glyphs import draw_random_glyph
from mmsmt.datasets.digits.painting import paint, to_uint8
from mmsmt.datasets.digits.photographs import crop_background
from mmsmt.datasets.digits.source import Digits

HEIGHTS = (12, 120)  # px, drawn log-uniformly
COUNTS = (1, 8)
MIN_VISIBLE = 0.6
MAX_ATTEMPTS = 50
MIN_SIZE = 160  # px; leaves several places for the largest digits


@dataclass(frozen=True)
class Instance:
    """One digit of a scene.

    Attributes:
        label: The digit drawn, 0 to 9.
        sample_id: Row in `load_digits()`.
        height: Height of the whole digit in pixels, hidden parts included.
        area: Pixels of the whole digit, hidden parts included.
    """

    label: int
    sample_id: int
    height: int
    area: int


@dataclass(frozen=True)
class Scene:
    """A picture and its content.

    Attributes:
        image: RGB, shape (size, size, 3), uint8.
        owners: Shape (size, size), uint8; 0 is background, k shows `instances[k - 1]`.
        instances: In painter's order, the last on top; none is fully hidden.
    """

    image: np.ndarray
    owners: np.ndarray
    instances: list[Instance]


def _draw_places(
    mask: np.ndarray, owners: np.ndarray, areas: list[int], rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Draw places (row, column) for a digit that keep enough of all earlier ones visible."""
    visible = np.bincount(owners.ravel(), minlength=len(areas) + 1)
    needed = MIN_VISIBLE * np.array([0, *areas])
    height, width = mask.shape
    for _ in range(MAX_ATTEMPTS):
        top = int(rng.integers(owners.shape[0] - height + 1))
        left = int(rng.integers(owners.shape[1] - width + 1))
        covered = owners[top : top + height, left : left + width][mask]
        if np.all(visible - np.bincount(covered, minlength=len(visible)) >= needed):
            yield top, left


def compose_scene(
    digits: Digits, photographs: list[np.ndarray], size: int, rng: np.random.Generator
) -> Scene:
    """Compose one scene of 1 to 8 digits.

    Args:
        digits: Samples to draw from, with replacement.
        photographs: Background parts, each (H, W, 3), uint8, RGB.
        size: Side of the scene in pixels, at least `MIN_SIZE`.
        rng: Source of all random choices.

    Raises:
        ValueError: If `size` is below `MIN_SIZE`.
    """
    if size < MIN_SIZE:
        raise ValueError(f'scene size must be at least {MIN_SIZE} px, got {size}')
    picture = crop_background(photographs, size, rng)
    owners = np.zeros((size, size), dtype=np.uint8)
    instances: list[Instance] = []
    rows = rng.integers(len(digits), size=rng.integers(COUNTS[0], COUNTS[1] + 1))
    glyphs = [(row, draw_random_glyph(digits.images[row], HEIGHTS, size, rng)) for row in rows]
    for row, opacity in sorted(glyphs, key=lambda glyph: -len(glyph[1])):
        mask = opacity > 0.5
        areas = [instance.area for instance in instances]
        for top, left in _draw_places(mask, owners, areas, rng):
            if paint(picture, opacity, top, left, rng):
                label, sample_id = int(digits.labels[row]), int(digits.sample_ids[row])
                instances.append(Instance(label, sample_id, len(opacity), int(mask.sum())))
                owners[top : top + len(mask), left : left + len(mask[0])][mask] = len(instances)
                break
    return Scene(to_uint8(picture), owners, instances)

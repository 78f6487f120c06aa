"""Images shifted, turned and scaled, as the study of the unified models does it, or mended.

"Demystify Transformers & Convolutions in Modern Image Deep Networks",
https://arxiv.org/abs/2211.05781, and what its released code does. Every image is compared with
its reference: short side resized (bicubic) to 256, centre 224 x 224 cut out.

`form='released'` has the quirks of that code:

* A shifted crop is cut at the image's border, and what is missing is added as black in equal
  parts on both sides, so half of a shift beyond the border is undone.
* One of the eight directions is never drawn.
* The crop without a shift may lie one pixel beside the reference, which rounds otherwise.
* Rotations after the crop are labelled like those before it.
* The ratio of the reference is not in the list of scales.

`form='mended'` keeps the definitions and has none of these: shifts are what they say, black where
the image ends, in all eight directions; at strength 0, at angle 0 and at the ratio of the
reference, which is in the list, a variant is the reference, pixel by pixel.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from torchvision.transforms import functional as TF

from mmsmt.hosts.images import central_view

FORMS = ('released', 'mended')
# Size of the reference and of the resized image, for which the strengths were chosen.
CROP, RESIZE = 224, 256
SHIFTS = tuple(range(0, 65, 4))  # px
ANGLES = tuple(range(0, 91, 5))  # degrees, counter-clockwise
RATIOS = tuple(round(0.2 + 0.125 * i, 3) for i in range(15))
# (row, column); the released code never draws the last.
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1))


class Protocol(NamedTuple):
    """How variants are made.

    Args:
        crop: Side of what the network sees, in pixels.
        resize: Side to which the short side of an image is resized, in pixels.
        form: `released` or `mended`.
        seed: Of the directions.
    """

    crop: int = CROP
    resize: int = RESIZE
    form: str = 'released'
    seed: int = 0

    def check(self) -> None:
        """Refuse what no variants can be made of, by a ValueError."""
        if self.form not in FORMS:
            raise ValueError(f'unknown form {self.form!r}; known: {", ".join(FORMS)}')
        if not 1 <= self.crop <= self.resize:
            raise ValueError(f'crop must be in 1 to resize, got {self.crop} of {self.resize}')

    def reference(self, image: Image.Image) -> Image.Image:
        """The view with which variants are compared, crop x crop."""
        return central_view(image, self.crop, self.resize)


class Variant(NamedTuple):
    """One way to change images.

    Args:
        kind: Key of `KINDS`.
        label: As results are labelled; two kinds have one label in the released form.
        strength: Pixels, degrees or ratio.
        apply: From an image and its index to what the network sees, crop x crop.
    """

    kind: str
    label: str
    strength: float
    apply: Callable[[Image.Image, int], Image.Image]


def _resized(image: Image.Image, side: int) -> Image.Image:
    return TF.resize(image, [side], TF.InterpolationMode.BICUBIC)


def _turned(image: Image.Image, angle: float) -> Image.Image:
    return TF.rotate(image, angle, TF.InterpolationMode.BICUBIC)


def _split_shift(image: Image.Image, crop: int, rows: int, columns: int) -> Image.Image:
    """Cut at the border and add what is missing in halves, the odd pixel right or bottom."""
    sides = (image.width, image.height)
    starts = [side // 2 + by - crop // 2 for side, by in zip(sides, (columns, rows), strict=True)]
    box = [max(start, 0) for start in starts]
    box += [min(start + crop, side) for start, side in zip(starts, sides, strict=True)]
    missing = [crop - (box[2 + axis] - box[axis]) for axis in range(2)]
    before = [gap // 2 for gap in missing]
    after = [gap - part for gap, part in zip(missing, before, strict=True)]
    return TF.pad(image.crop((box[0], box[1], box[2], box[3])), [*before, *after])


def _true_shift(image: Image.Image, crop: int, rows: int, columns: int) -> Image.Image:
    """Move the crop from where the reference lies; black beyond the border."""
    # As torchvision's center_crop rounds.
    left = round((image.width - crop) / 2) + columns
    top = round((image.height - crop) / 2) + rows
    return image.crop((left, top, left + crop, top + crop))


def draw_direction(strength: float, index: int, protocol: Protocol) -> tuple[int, int]:
    """Direction (row, column) of an image's shift; a function of seed, strength and index."""
    choices = len(DIRECTIONS) - (protocol.form == 'released')
    rng = np.random.default_rng([protocol.seed, int(strength), index])
    return DIRECTIONS[rng.integers(choices)]


def _translation(strength: float, protocol: Protocol) -> Callable[[Image.Image, int], Image.Image]:
    shift = _split_shift if protocol.form == 'released' else _true_shift

    def apply(image: Image.Image, index: int) -> Image.Image:
        rows, columns = draw_direction(strength, index, protocol)
        by = int(strength)
        return shift(_resized(image, protocol.resize), protocol.crop, rows * by, columns * by)

    return apply


def _pre_rotation(strength: float, protocol: Protocol) -> Callable[[Image.Image, int], Image.Image]:
    size = [protocol.crop, protocol.crop]
    return lambda image, _: TF.center_crop(
        _turned(_resized(image, protocol.resize), strength), size
    )


def _post_rotation(
    strength: float, protocol: Protocol
) -> Callable[[Image.Image, int], Image.Image]:
    return lambda image, _: _turned(protocol.reference(image), strength)


def _scale(strength: float, protocol: Protocol) -> Callable[[Image.Image, int], Image.Image]:
    own = strength == protocol.crop / protocol.resize
    side = protocol.resize if own else int(protocol.crop / strength)
    return lambda image, _: central_view(image, protocol.crop, side)


def _shifts(protocol: Protocol) -> Sequence[float]:
    """In pixels of the crop: the same shares of it at any size, each length once."""
    return tuple(dict.fromkeys(round(shift * protocol.crop / CROP) for shift in SHIFTS))


def _ratios(protocol: Protocol) -> Sequence[float]:
    own = [] if protocol.form == 'released' else [protocol.crop / protocol.resize]
    return tuple(sorted({*RATIOS, *own}))


KINDS = {
    'translation': (_translation, _shifts),
    'pre_rotation': (_pre_rotation, lambda _: ANGLES),
    'post_rotation': (_post_rotation, lambda _: ANGLES),
    'scale': (_scale, _ratios),
}


def make_variants(
    kinds: Sequence[str] = tuple(KINDS), protocol: Protocol | None = None
) -> list[Variant]:
    """All strengths of some kinds of change.

    Args:
        kinds: Of `translation`, `pre_rotation`, `post_rotation`, `scale`.
        protocol: Sizes, form and seed; by default those of the released code. At another crop
            shifts are scaled with it and rounded to pixels; angles and ratios stay.

    Returns:
        Variants by kind, then strength.

    Raises:
        ValueError: If a kind or the form is unknown, or if the crop is larger than the image.
    """
    protocol = protocol or Protocol()
    protocol.check()
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f'unknown kind {unknown[0]!r}; known: {", ".join(KINDS)}')
    variants = []
    for kind in kinds:
        make, strengths = KINDS[kind]
        mislabelled = kind == 'post_rotation' and protocol.form == 'released'
        label = 'pre_rotation' if mislabelled else kind
        for strength in strengths(protocol):
            variants.append(Variant(kind, label, strength, make(strength, protocol)))
    return variants

"""Shifted, rotated, scaled and corrupted images; the first three as in a published study.

"Demystify Transformers & Convolutions in Modern Image Deep Networks",
https://arxiv.org/abs/2211.05781, and its released code. Every image is compared with its reference:
short side resized (bicubic) to 256, centre 224 x 224 cropped.

`form='released'` has the quirks of the released code:

* A shifted crop is cut at the image's border and padded with black equally on both sides, so half
  of a shift beyond the border is undone.
* One of the eight directions is never drawn.
* The crop without a shift may be one pixel off the reference, because of rounding.
* Rotations after the crop have the same label as those before it.
* The ratio of the reference is not in the list of scales.

`form='corrected'` fixes them: at strength 0, at angle 0 and at the ratio of the reference a variant
equals the reference, pixel by pixel. Corruptions have one form.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image
from torchvision.transforms import functional as TF

from mmsmt.analysis.invariance.corruptions import (
    DEVIATIONS,
    QUALITIES,
    SIGMAS,
    add_noise,
    blur,
    compress,
)
from mmsmt.errors import ConfigError
from mmsmt.hosts.images import central_view

FORMS = ('released', 'corrected')
# Size of the reference and of the resized image, for which the strengths were chosen.
CROP, RESIZE = 224, 256
SHIFTS = tuple(range(0, 65, 4))  # px
ANGLES = tuple(range(0, 91, 5))  # degrees, counter-clockwise
RATIOS = tuple(round(0.2 + 0.125 * i, 3) for i in range(15))
# (row, column); the released code never draws the last.
DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1))


class Protocol(NamedTuple):
    """How variants are made."""

    crop: int = CROP  # side of the network's input, in pixels
    resize: int = RESIZE  # short side of the resized image, in pixels
    form: str = 'released'  # or `corrected`
    seed: int = 0  # seed of the directions

    def reference(self, image: Image.Image) -> Image.Image:
        """Return the view that variants are compared with, crop x crop."""
        return central_view(image, self.crop, self.resize)


class Variant(NamedTuple):
    """A change of images."""

    kind: str  # key of `KINDS`
    label: str  # label in results; two kinds share one in the released form
    strength: float  # pixels, degrees, ratio, deviation or quality
    apply: Callable[[Image.Image, int], Image.Image]  # from an image and its index


def _resized(image: Image.Image, side: int) -> Image.Image:
    return TF.resize(image, [side], TF.InterpolationMode.BICUBIC)


def draw_direction(strength: float, index: int, protocol: Protocol) -> tuple[int, int]:
    """Draw the direction (row, column) of an image's shift from seed, strength and index."""
    choices = len(DIRECTIONS) - (protocol.form == 'released')
    rng = np.random.default_rng([protocol.seed, int(strength), index])
    return DIRECTIONS[rng.integers(choices)]


def _translation(
    strength: float, protocol: Protocol, image: Image.Image, index: int
) -> Image.Image:
    rows, columns = (int(strength) * by for by in draw_direction(strength, index, protocol))
    image, crop = _resized(image, protocol.resize), protocol.crop
    if protocol.form == 'corrected':  # relative to the reference, as rounded by torchvision
        left, top = (round((side - crop) / 2) for side in image.size)
        left, top = left + columns, top + rows
        return image.crop((left, top, left + crop, top + crop))
    left, top = image.width // 2 + columns - crop // 2, image.height // 2 + rows - crop // 2
    right, bottom = min(left + crop, image.width), min(top + crop, image.height)
    cut = image.crop((max(left, 0), max(top, 0), right, bottom))
    # Half of the padding on each side, the odd pixel right or bottom.
    across, down = crop - cut.width, crop - cut.height
    return TF.pad(cut, [across // 2, down // 2, across - across // 2, down - down // 2])


def _pre_rotation(strength: float, protocol: Protocol, image: Image.Image, _: int) -> Image.Image:
    resized = _resized(image, protocol.resize)
    turned = TF.rotate(resized, strength, TF.InterpolationMode.BICUBIC)
    return TF.center_crop(turned, [protocol.crop, protocol.crop])


def _post_rotation(strength: float, protocol: Protocol, image: Image.Image, _: int) -> Image.Image:
    return TF.rotate(protocol.reference(image), strength, TF.InterpolationMode.BICUBIC)


def _scale(strength: float, protocol: Protocol, image: Image.Image, _: int) -> Image.Image:
    own = strength == protocol.crop / protocol.resize
    side = protocol.resize if own else int(protocol.crop / strength)
    return central_view(image, protocol.crop, side)


def _blur(strength: float, protocol: Protocol, image: Image.Image, _: int) -> Image.Image:
    return blur(protocol.reference(image), strength * protocol.crop / CROP)


def _noise(strength: float, protocol: Protocol, image: Image.Image, index: int) -> Image.Image:
    seed = [protocol.seed, round(1000 * strength), index]
    return add_noise(protocol.reference(image), strength, seed)


def _jpeg(strength: float, protocol: Protocol, image: Image.Image, _: int) -> Image.Image:
    return compress(protocol.reference(image), strength)


def _inversion(strength: float, protocol: Protocol, image: Image.Image, _: int) -> Image.Image:
    view = protocol.reference(image)
    return TF.invert(view) if strength else view


def _shifts(protocol: Protocol) -> Sequence[float]:
    """Return shifts in pixels, the same shares of the crop at any size, without duplicates."""
    return tuple(dict.fromkeys(round(shift * protocol.crop / CROP) for shift in SHIFTS))


def _ratios(protocol: Protocol) -> Sequence[float]:
    own = [] if protocol.form == 'released' else [protocol.crop / protocol.resize]
    return tuple(sorted({*RATIOS, *own}))


# Of the published study; they are the default.
GEOMETRIC = ('translation', 'pre_rotation', 'post_rotation', 'scale')
KINDS: dict[str, tuple[Callable[..., Image.Image], Callable[[Protocol], Sequence[float]]]] = {
    'translation': (_translation, _shifts),
    'pre_rotation': (_pre_rotation, lambda _: ANGLES),
    'post_rotation': (_post_rotation, lambda _: ANGLES),
    'scale': (_scale, _ratios),
    'blur': (_blur, lambda _: SIGMAS),
    'noise': (_noise, lambda _: DEVIATIONS),
    'jpeg': (_jpeg, lambda _: QUALITIES),
    'inversion': (_inversion, lambda _: (0.0, 1.0)),
}


def make_variants(
    kinds: Sequence[str] = GEOMETRIC, protocol: Protocol | None = None
) -> list[Variant]:
    """Return all strengths of some kinds of change, by kind, then strength.

    Args:
        kinds: One or more of `translation`, `pre_rotation`, `post_rotation`, `scale`, `blur`,
            `noise`, `jpeg`, `inversion`.
        protocol: Sizes, form and seed; those of the released code by default. For another crop,
            shifts are scaled and rounded to pixels, blur is scaled; all else is unchanged.

    Raises:
        ValueError: If a kind or the form is unknown, or the crop is larger than the image.
    """
    protocol = protocol or Protocol()
    for what, names, known in (('kind', kinds, KINDS), ('form', [protocol.form], FORMS)):
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ConfigError(f'unknown {what} {unknown[0]!r}; known: {", ".join(known)}')
    if not 1 <= protocol.crop <= protocol.resize:
        raise ConfigError(
            f'crop must be from 1 to resize, got {protocol.crop} of {protocol.resize}'
        )
    variants = []
    for kind in kinds:
        change, strengths = KINDS[kind]
        mislabelled = kind == 'post_rotation' and protocol.form == 'released'
        label = 'pre_rotation' if mislabelled else kind
        variants += [
            Variant(kind, label, strength, partial(change, strength, protocol))
            for strength in strengths(protocol)
        ]
    return variants

"""Effective receptive field: how much every pixel of an image moves a unit of a map.

The unit is the centre of a stage's map. Its channels are added up, and absolute values of the
gradient with respect to the image are added over its channels and averaged over images: W. Luo et
al., https://arxiv.org/abs/1701.04128.

Negative channels are set to zero first, as RepLKNet does (https://arxiv.org/abs/2203.06717). In
maps that end in a LayerNorm (SMT, Swin, ConvNeXt) all channels of a pixel add up to a constant,
whose gradient is rounding.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmsmt.errors import ConfigError
from mmsmt.hosts.model import evaluation_mode, maps_of

# Thresholds of RepLKNet's table 10.
SHARES = (0.2, 0.3, 0.5, 0.99)


def receptive_fields(
    model: nn.Module, images: Tensor, rectified: bool = True, batch_size: int = 8
) -> list[Tensor]:
    """Effective receptive field of the centre of every map that a backbone gives.

    Args:
        model: A backbone, or a model that has one; runs in evaluation mode, and is not changed.
        images: Normalised, of shape (N, 3, H, W), on the model's device.
        rectified: Set negative channels to zero before they are added up.
        batch_size: Images that are run at once.

    Returns:
        A field (H, W) for each map, float64, on the CPU; mean over images.

    Raises:
        ValueError: If there is no image, or if the backbone gives no maps.
    """
    if images.ndim != 4 or not len(images):
        raise ConfigError(f'images must be (N, 3, H, W), at least one, got {tuple(images.shape)}')
    sums: list[Tensor] = []
    with evaluation_mode(model):
        for batch in images.split(batch_size):
            fields = _add_fields(model, batch.detach().clone().requires_grad_(True), rectified)
            sums = [a + b for a, b in zip(sums, fields, strict=True)] if sums else fields
    return [field / len(images) for field in sums]


def _add_fields(model: nn.Module, images: Tensor, rectified: bool) -> list[Tensor]:
    """The fields of a batch, summed over its images, which do not influence each other."""
    with torch.enable_grad():
        maps = maps_of(model, images)
        fields = []
        for i, x in enumerate(maps):
            centre = x[:, :, x.shape[2] // 2, x.shape[3] // 2]
            unit = (centre.relu() if rectified else centre).sum()
            (gradient,) = torch.autograd.grad(unit, images, retain_graph=i + 1 < len(maps))
            fields.append(gradient.double().abs().sum(dim=(0, 1)).cpu())
    return fields


def effective_receptive_field(
    model: nn.Module, images: Tensor, stage: int = -1, rectified: bool = True
) -> Tensor:
    """Effective receptive field (H, W) of one map: `receptive_fields(...)[stage]`.

    Raises:
        IndexError: If the backbone gives no such map.
    """
    return receptive_fields(model, images, rectified)[stage]


def to_log_scale(field: Tensor) -> Tensor:
    """RepLKNet's matrix of contributions: log10(field + 1), over its maximum.

    Where all values are far below 1, this is the field itself, over its maximum.
    """
    scaled = torch.log10(field + 1)
    return scaled / scaled.max()


def held_shares(field: Tensor) -> Tensor:
    """How much of a field (H, W), no value below 0, squares around the image's centre hold.

    Entry r is the share in rows H // 2 - r to H // 2 + r and in as many columns; the last is 1.

    Raises:
        ValueError: If the field is nowhere above 0: no gradient reaches the image.
    """
    total = field.sum()
    if not total > 0:
        raise ConfigError('the receptive field is empty: no gradient reaches the image')
    y, x = (side // 2 for side in field.shape)
    squares = [
        field[max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1] for r in range(max(y, x) + 1)
    ]
    return torch.stack([square.sum() / total for square in squares])


def square_area(radius: int, size: tuple[int, int]) -> float:
    """The area of a square of `held_shares`, cut at the image, as a share of the image."""
    sides = [min(side, side // 2 + radius + 1) - max(side // 2 - radius, 0) for side in size]
    return sides[0] * sides[1] / (size[0] * size[1])


def area_ratios(field: Tensor, shares: Sequence[float] = SHARES) -> dict[float, float]:
    """The smallest square around the image's centre that holds a share of a field (H, W).

    RepLKNet's measure, whose code takes the logarithm first: pass `to_log_scale(field)` for that.
    It also starts at three pixels; here a square may be one pixel, or the whole image.

    Returns:
        Each share, in (0, 1], to the area of its square, as a share of the image.

    Raises:
        ValueError: If a share is out of range, or if the field is empty.
    """
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong:
        raise ConfigError(f'shares must be above 0 and at most 1, got {wrong}')
    held = held_shares(field)
    size = (field.shape[0], field.shape[1])
    # Sums in another order may fall short of an exact share by rounding.
    reached = {share: int((held >= share - 1e-12).nonzero()[0]) for share in shares}
    return {share: square_area(radius, size) for share, radius in reached.items()}

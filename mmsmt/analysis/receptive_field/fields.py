"""Effective receptive field: the influence of every pixel of an image on a unit of a map.

The unit is the centre of a stage's map. Its channels are summed, and absolute values of the
gradient with respect to the image are summed over channels and averaged over images: W. Luo et al.,
https://arxiv.org/abs/1701.04128.

Negative channels are set to zero first, as in RepLKNet (https://arxiv.org/abs/2203.06717), because
the channels of maps after a LayerNorm (SMT, Swin, ConvNeXt) sum to a constant, whose gradient is
rounding error.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmsmt.errors import ConfigError
from mmsmt.hosts.model import evaluation_mode, maps_of

# Thresholds of table 10 of RepLKNet.
SHARES = (0.2, 0.3, 0.5, 0.99)


def receptive_fields(
    model: nn.Module, images: Tensor, rectified: bool = True, batch_size: int = 8
) -> list[Tensor]:
    """Return the effective receptive field of the centre of every map of a backbone.

    Args:
        model: A backbone, or a model that contains one; runs in eval mode, and is not changed.
        images: Normalised images (N, 3, H, W) on the model's device.
        rectified: Whether to set negative channels to zero before they are summed.
        batch_size: Images per batch.

    Returns:
        A field (H, W) for each map, float64, on the CPU, averaged over images.

    Raises:
        ValueError: If there are no images, or the backbone returns no maps.
    """
    if images.ndim != 4 or not len(images):
        raise ConfigError(f'expected at least one image (N, 3, H, W), got {tuple(images.shape)}')
    sums: list[Tensor] = []
    with evaluation_mode(model):
        for batch in images.split(batch_size):
            fields = _add_fields(model, batch.detach().clone().requires_grad_(True), rectified)
            sums = [a + b for a, b in zip(sums, fields, strict=True)] if sums else fields
    return [field / len(images) for field in sums]


def _add_fields(model: nn.Module, images: Tensor, rectified: bool) -> list[Tensor]:
    """Return the fields of a batch, summed over its images, which are independent."""
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
    """Return the effective receptive field (H, W) of one map: `receptive_fields(...)[stage]`.

    Raises:
        IndexError: If the backbone returns no such map.
    """
    return receptive_fields(model, images, rectified)[stage]


def to_log_scale(field: Tensor) -> Tensor:
    """Return RepLKNet's contribution scores: log10(field + 1), divided by the maximum.

    If all values are far below 1, this is the field divided by its maximum.
    """
    scaled = torch.log10(field + 1)
    return scaled / scaled.max()


def held_shares(field: Tensor) -> Tensor:
    """Return the shares of a non-negative field (H, W) in squares around the image's centre.

    Entry r is the share within rows H // 2 - r to H // 2 + r and as many columns; the last is 1.

    Raises:
        ValueError: If the field is all zero: no gradient reaches the image.
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
    """Return the area of a square of `held_shares`, clipped to the image, as a share of it."""
    sides = [min(side, side // 2 + radius + 1) - max(side // 2 - radius, 0) for side in size]
    return sides[0] * sides[1] / (size[0] * size[1])


def area_ratios(field: Tensor, shares: Sequence[float] = SHARES) -> dict[float, float]:
    """Return the smallest square around the image's centre that holds a share of a field (H, W).

    This is RepLKNet's measure, whose code takes the logarithm first: pass `to_log_scale(field)` for
    that. It also starts at three pixels; here a square may be one pixel, or the whole image.

    Returns:
        Each share, in (0, 1], to the area of its square, as a share of the image.

    Raises:
        ValueError: If a share is out of range, or the field is empty.
    """
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong:
        raise ConfigError(f'shares must be above 0 and at most 1, got {wrong}')
    held = held_shares(field)
    size = (field.shape[0], field.shape[1])
    # Sums in another order may differ from an exact share by rounding.
    reached = {share: int((held >= share - 1e-12).nonzero()[0]) for share in shares}
    return {share: square_area(radius, size) for share, radius in reached.items()}

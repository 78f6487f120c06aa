"""Bilinear samples of feature maps at many points, for the RoI operators.

A feature map becomes a table with one row of channels per pixel. A bin of a RoI is a weighted sum
of its rows, which `embedding_bag` computes without writing the samples to memory.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

HALF_TYPES = (torch.float16, torch.bfloat16)


def full_precision(x: Tensor) -> Tensor:
    """Return `x`, converted to float32 if it has a half type."""
    return x.float() if x.dtype in HALF_TYPES else x


def pixel_table(x: Tensor) -> Tensor:
    """Reshape (N, C, H, W) to a contiguous (N * H * W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).contiguous()


def from_table(table: Tensor, shape: torch.Size) -> Tensor:
    """Undo `pixel_table`: return a view of `shape` (N, C, H, W)."""
    count, channels, height, width = shape
    return table.view(count, height, width, channels).permute(0, 3, 1, 2)


def _axis(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lower pixel, the higher pixel, and the weight of the higher one, along an axis."""
    position = position.clamp(min=0)
    low = position.detach().long().clamp(max=size - 1)
    # At and beyond the last pixel both are that pixel, and their weights do not matter.
    return low, (low + 1).clamp(max=size - 1), position - low


def corners(y: Tensor, x: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the four pixels around each point and their weights.

    Points up to one pixel outside the map have the value at its border; those farther out are 0.

    Args:
        y: (S,) vertical positions; pixel i has its centre at i.
        x: (S,) horizontal positions.
        height: Height of the map.
        width: Width of the map.

    Returns:
        (S, 4) int64 indices of pixels in the map, row by row, and (S, 4) weights, differentiable in
            `y` and `x`.
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    # Clamp instead of masking: keeps NaN and values that overflow an integer out of the indices.
    y, x = torch.where(inside, y, 0), torch.where(inside, x, 0)
    top, bottom, below = _axis(y, height)
    left, right, beyond = _axis(x, width)
    index = torch.stack(
        (top * width + left, top * width + right, bottom * width + left, bottom * width + right), -1
    )
    above, before = 1 - below, 1 - beyond
    weight = torch.stack((above * before, above * beyond, below * before, below * beyond), -1)
    return index, weight * inside[..., None]


def weighted_rows(table: Tensor, index: Tensor, weight: Tensor, starts: Tensor) -> Tensor:
    """Return weighted sums of a table's rows; differentiable in `table` and `weight`.

    Args:
        table: (P, C).
        index: (S,) int64 rows.
        weight: (S,).
        starts: (B,) where each bin starts in `index`; a bin may be empty.

    Returns:
        (B, C).
    """
    return F.embedding_bag(index, table, starts, mode='sum', per_sample_weights=weight)


def spread_rows(grad: Tensor, index: Tensor, weight: Tensor, bins: Tensor, rows: int) -> Tensor:
    """Return the gradient of `weighted_rows` with respect to its table.

    It is another weighted sum, over the entries of each row, so no entry is written to memory, and
    the order of summation is fixed on every device.

    Args:
        grad: (B, C) gradient of the bins.
        index: (S,) int64 rows.
        weight: (S,).
        bins: (S,) int64, bin of each entry.
        rows: P, the number of rows of the table.

    Returns:
        (P, C).
    """
    index, order = index.sort(stable=True)
    starts = torch.searchsorted(index, torch.arange(rows, device=index.device))
    return weighted_rows(grad, bins[order], weight[order], starts)

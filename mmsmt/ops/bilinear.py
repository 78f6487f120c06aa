"""Bilinear samples of feature maps at many points, for the RoI operators.

A feature map becomes a table with one row of channels per pixel. A bin of a RoI is a weighted sum
of its rows, which `embedding_bag` takes without writing the samples to memory.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

HALF_TYPES = (torch.float16, torch.bfloat16)


def full_precision(x: Tensor) -> Tensor:
    """`x`, in float32 if it has a half type."""
    return x.float() if x.dtype in HALF_TYPES else x


def pixel_table(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N * H * W, C), one piece of memory."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).contiguous()


def from_table(table: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `pixel_table`: a view of `shape` (N, C, H, W)."""
    count, channels, height, width = shape
    return table.view(count, height, width, channels).permute(0, 3, 1, 2)


def _axis(position: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Lower pixel, higher pixel, and the higher one's share, along one axis."""
    position = position.clamp(min=0)
    low = position.detach().long().clamp(max=size - 1)
    # At and beyond the last pixel both are that one, and their shares do not matter.
    return low, (low + 1).clamp(max=size - 1), position - low


def corners(y: Tensor, x: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The four pixels around each point and their weights.

    Points up to one pixel outside the map have the value at its border, those further out are 0.

    Args:
        y: (S,) vertical positions; pixel i has its centre at i.
        x: (S,) horizontal positions.
        height: Of the map.
        width: Of the map.

    Returns:
        (S, 4) int64 indices of pixels in the map row by row, and (S, 4) weights, differentiable in
        `y` and `x`.
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    # A clamp, not a mask: NaN and what does not fit an integer stay away from the indices.
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
    """Weighted sums of a table's rows; differentiable in `table` and `weight`.

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
    """Gradient of `weighted_rows` with respect to its table.

    It is a weighted sum again, over the entries of each row: so no entry is written to memory, and
    the order of the sum is fixed on every device.

    Args:
        grad: (B, C) gradient of the bins.
        index: (S,) int64 rows.
        weight: (S,).
        bins: (S,) int64, to which bin each entry belongs.
        rows: P, of the table.

    Returns:
        (P, C).
    """
    index, order = index.sort(stable=True)
    starts = torch.searchsorted(index, torch.arange(rows, device=index.device))
    return weighted_rows(grad, bins[order], weight[order], starts)

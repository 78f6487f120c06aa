"""Bilinear samples of feature maps at many points, for the RoI operators.

A feature map becomes a table with one row of channels per pixel. A bin of a RoI is a weighted sum
of its rows, which `embedding_bag` takes without writing the samples to memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLES = 1 << 20  # points looked at together; each has four corners of 12 bytes
HALF_TYPES = (torch.float16, torch.bfloat16)


def full_precision(x: Tensor) -> Tensor:
    """`x`, in float32 if it has a half type."""
    return x.float() if x.dtype in HALF_TYPES else x


def check_rois(x: Tensor, rois: Tensor, columns: int, output: Tensor) -> None:
    """Refuse what would be read or written out of bounds.

    Args:
        x: Feature maps or their gradient, (N, C, H, W).
        rois: (R, columns), first the index of the image.
        columns: Of a RoI.
        output: Pooled features or their gradient, (R, C, h, w).

    Raises:
        RuntimeError: Types or shapes do not fit. On a CPU, where it costs no synchronisation, also
            when a RoI is of an image that is not there.
    """
    if x.dtype != rois.dtype or x.dtype != output.dtype:
        raise RuntimeError(f'expected RoIs and features of {x.dtype} but found {rois.dtype}')
    if x.dim() != 4 or rois.dim() != 2 or rois.shape[1] != columns:
        shapes = f'{tuple(x.shape)} and {tuple(rois.shape)}'
        raise RuntimeError(f'features must be (N, C, H, W) and RoIs (R, {columns}), not {shapes}')
    if output.dim() != 4 or output.shape[:2] != (len(rois), x.shape[1]):
        raise RuntimeError(f'pooled features of {len(rois)} RoIs have shape {tuple(output.shape)}')
    if rois.device.type == 'cpu' and len(rois):
        first, last = rois[:, 0].aminmax()
        if not (first > -1 and last < len(x)):
            raise RuntimeError(f'RoIs of images {first:g} to {last:g} in a batch of {len(x)}')


def check_sizes(width: Tensor, height: Tensor) -> None:
    """Refuse RoIs that end before they start, on a CPU as the compiled operators do.

    Raises:
        RuntimeError: A width or a height is negative, or NaN.
    """
    if width.device.type == 'cpu' and not bool(((width >= 0) & (height >= 0)).all()):
        raise RuntimeError('roi_width >= 0 && roi_height >= 0: RoIs do not have non-negative size')


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
    # At and beyond the last pixel there is only that one.
    share = (position - low).masked_fill(low == size - 1, 0)
    return low, (low + 1).clamp(max=size - 1), share


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


@dataclass
class Samples:
    """Points at which some RoIs' bins are sampled, bin by bin; `grid` of each RoI by grid."""

    first: int  # these RoIs
    last: int
    roi: Tensor  # (S,) int64
    bin: Tensor  # (S,) int64, counted from the first of these RoIs
    starts: Tensor  # (B,) int64, each bin's first point
    counts: Tensor  # (B,) int64, each bin's number of points
    y: Tensor  # (S,) position inside the RoI, 0 at its upper side
    x: Tensor


def grid_size(extent: Tensor, bins: int, sampling_ratio: int) -> Tensor:
    """(R,) int64 points along a bin: the sampling ratio, or about one per pixel where that is 0."""
    if sampling_ratio > 0:
        return torch.full_like(extent, sampling_ratio, dtype=torch.long)
    return (extent / bins).ceil().long().clamp(min=0)


def sample_rois(
    height: Tensor, width: Tensor, pooled: tuple[int, int], sampling_ratio: int
) -> Iterator[Samples]:
    """Points of all RoIs, in parts of about `SAMPLES` points and whole RoIs.

    Args:
        height: (R,) of each RoI, in pixels.
        width: (R,) likewise.
        pooled: Bins down and across.
        sampling_ratio: Points per bin and axis; 0 chooses it by the RoI's size.

    Yields:
        The points of consecutive RoIs.
    """
    rows, columns = pooled
    per_row, per_column = (
        grid_size(height, rows, sampling_ratio),
        grid_size(width, columns, sampling_ratio),
    )
    total = per_row * per_column * rows * columns
    if sampling_ratio > 0:  # known without waiting for the device
        step = max(1, SAMPLES // max(1, sampling_ratio**2 * rows * columns))
        ends = [*range(step, len(height), step), len(height)]
    else:
        part = (total.cumsum(0) - total) // SAMPLES
        ends = part.unique_consecutive(return_counts=True)[1].cumsum(0).tolist()
    first = 0
    for last in ends:
        local = slice(first, last)
        counts = (per_row * per_column)[local].repeat_interleave(rows * columns)
        starts = counts.cumsum(0) - counts
        known = sampling_ratio**2 * len(counts) if sampling_ratio > 0 else None
        bins = torch.arange(len(counts), device=counts.device)
        bins = bins.repeat_interleave(counts, output_size=known)
        roi = bins // (rows * columns) + first
        rank = torch.arange(len(bins), device=bins.device) - starts[bins]
        cell = bins % (rows * columns)
        down, across = per_row[roi], per_column[roi]
        bin_height, bin_width = height[roi] / rows, width[roi] / columns
        y = (cell // columns) * bin_height + (rank // across + 0.5) * bin_height / down
        x = (cell % columns) * bin_width + (rank % across + 0.5) * bin_width / across
        yield Samples(first, last, roi, bins, starts, counts, y, x)
        first = last

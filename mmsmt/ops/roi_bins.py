"""Sampling points of the bins of RoIs, and the average of each bin."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mmsmt.ops.bilinear import (
    corners,
    from_table,
    full_precision,
    pixel_table,
    spread_rows,
    weighted_rows,
)

SAMPLES = 1 << 19  # points processed together; each has four corners of 12 bytes


def check_rois(x: Tensor, rois: Tensor, columns: int, output: Tensor) -> None:
    """Raise on input that would be read or written out of bounds.

    Args:
        x: Feature maps or their gradient, (N, C, H, W).
        rois: (R, columns), with the index of the image first.
        columns: Number of values of a RoI.
        output: Pooled features or their gradient, (R, C, h, w).

    Raises:
        RuntimeError: If types or shapes do not fit. On a CPU, where it needs no synchronisation,
            also if a RoI refers to an image that does not exist.
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
    """Raise for RoIs that end before they start, on a CPU like the compiled operators.

    Raises:
        RuntimeError: If a width or height is negative or NaN.
    """
    if width.device.type == 'cpu' and not bool(((width >= 0) & (height >= 0)).all()):
        raise RuntimeError('roi_width >= 0 && roi_height >= 0: RoIs do not have non-negative size')


@dataclass
class Samples:
    """Sampling points of some RoIs' bins, bin by bin; each RoI has a `grid` by `grid` of them."""

    first: int  # index of the first of these RoIs
    last: int
    roi: Tensor  # (S,) int64
    bin: Tensor  # (S,) int64, counted from the first RoI here
    starts: Tensor  # (B,) int64, first point of each bin
    counts: Tensor  # (B,) int64, number of points of each bin
    y: Tensor  # (S,) positions relative to the start of each RoI
    x: Tensor


def grid_size(extent: Tensor, bins: int, sampling_ratio: int) -> Tensor:
    """Return (R,) int64 points along a bin: the sampling ratio; if it is 0, about one per pixel."""
    if sampling_ratio > 0:
        return torch.full_like(extent, sampling_ratio, dtype=torch.long)
    return (extent / bins).ceil().long().clamp(min=0)


def sample_rois(
    top: Tensor,
    left: Tensor,
    height: Tensor,
    width: Tensor,
    pooled: tuple[int, int],
    sampling_ratio: int,
) -> Iterator[Samples]:
    """Yield the points of all RoIs, in parts of about `SAMPLES` points and whole RoIs.

    Positions are summed in the order of the compiled operators, and so rounded in the same way.

    Args:
        top: (R,) first row of each RoI, in pixels.
        left: (R,) first column of each RoI, in pixels.
        height: (R,) height of each RoI, in pixels.
        width: (R,) width of each RoI, in pixels.
        pooled: Number of bins vertically and horizontally.
        sampling_ratio: Points per bin and axis; 0 chooses it from the RoI's size.

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
        y = top[roi] + (cell // columns) * bin_height + (rank // across + 0.5) * bin_height / down
        x = left[roi] + (cell % columns) * bin_width + (rank % across + 0.5) * bin_width / across
        yield Samples(first, last, roi, bins, starts, counts, y, x)
        first = last


Entries = Iterator[tuple[Samples, Tensor, Tensor]]


def average_entries(
    points: Samples, y: Tensor, x: Tensor, rois: Tensor, shape: torch.Size
) -> tuple[Samples, Tensor, Tensor]:
    """Return what each point adds to the average of its bin.

    Args:
        points: S points of some RoIs.
        y: (S,) rows in the feature map.
        x: (S,) columns in the feature map.
        rois: (R, 5 or 6), all RoIs, with the index of the image first.
        shape: (N, C, H, W), shape of the feature maps.

    Returns:
        `points`, (4 S,) rows of the pixel table, and their (4 S,) weights.
    """
    pixel, weight = corners(y, x, shape[2], shape[3])
    pixel += (rois[points.roi, 0].long() * (shape[2] * shape[3]))[:, None]
    return points, pixel.view(-1), (weight / points.counts[points.bin, None]).view(-1)


def average_bins(x: Tensor, entries: Entries, output: Tensor) -> None:
    """Fill `output` (R, C, h, w) with the averages of the bins of feature maps (N, C, H, W)."""
    table = pixel_table(full_precision(x))
    for points, pixel, weight in entries:
        sums = weighted_rows(table, pixel, weight, points.starts * 4)
        part = sums.view(-1, *output.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
        output[points.first : points.last] = part.to(output.dtype)


def spread_bins(grad_output: Tensor, entries: Entries, grad_input: Tensor) -> None:
    """Add the gradient of `average_bins` with respect to its feature maps to `grad_input`."""
    grad, shape = full_precision(grad_output), grad_input.shape
    rows = shape[0] * shape[2] * shape[3]
    total: Tensor | None = None
    for points, pixel, weight in entries:
        bins = points.bin.repeat_interleave(4, output_size=len(pixel))
        part = spread_rows(pixel_table(grad[points.first : points.last]), pixel, weight, bins, rows)
        total = part if total is None else total.add_(part)
    if total is not None:
        grad_input += from_table(total, shape).to(grad_input.dtype)

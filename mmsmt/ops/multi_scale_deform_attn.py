"""Multi-scale deformable attention (https://arxiv.org/abs/2010.04159).

A sampled value is a weighted sum of four rows of `value`, so an output is a weighted sum of
4 * levels * points rows, which `embedding_bag` computes without copying rows. It is called once for
each of the four corners, to keep the tables of rows and weights small.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# For the lower and the higher pixel along an axis.
_Pair = tuple[Tensor, Tensor]


class _Samples(NamedTuple):
    """Positions of samples, (M, K) for M = N * queries * heads and K = levels * points."""

    rows: Tensor  # row of the upper left corner in `value` as (N * keys * heads, dims)
    row_step: Tensor  # (K,): (K,): distance in rows to the pixel below
    column_step: int  # distance in rows to the next pixel
    y: _Pair  # weights of the pixels, 0 outside the map
    x: _Pair
    y_slope: _Pair  # their derivatives by the location, in units of the map
    x_slope: _Pair

    def corners(self, count: int) -> Iterator[tuple[Tensor, int, int]]:
        """Yield the rows of each corner, and its index into `y` and `x`.

        Corners outside their map, with weight 0, have any of the `count` rows.
        """
        for i in range(2):
            for j in range(2):
                step = i * self.row_step + j * self.column_step
                yield (self.rows + step).clamp_(0, count - 1), i, j


def _axis(position: Tensor, size: Tensor) -> tuple[Tensor, _Pair, _Pair]:
    """Return lower pixel, weights and slopes of positions (M, K) on axes of (K,) pixels."""
    # No slope for positions that are a pixel or more outside, or NaN.
    position = torch.where(position > -1, position, -2.0)
    position = torch.minimum(position, size.to(position.dtype))
    low = position.floor()
    share = position - low
    first, second = ((low >= 0) & (low < size)), ((low >= -1) & (low < size - 1))
    weights = ((1 - share).mul_(first), share.mul_(second))
    return low.int(), weights, (first * -size, second * size)


def _samples(value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor) -> _Samples:
    """Find the corners of `locations` (N, queries, heads, levels, points, 2)."""
    batch, keys, heads, _ = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    height, width, start = (
        t.repeat_interleave(points) for t in (shapes[:, 0], shapes[:, 1], starts)
    )
    places = locations.flatten(3, 4).flatten(0, 2)
    y, y_weights, y_slopes = _axis(places[..., 1] * height - 0.5, height)
    x, x_weights, x_slopes = _axis(places[..., 0] * width - 0.5, width)
    kind = torch.int32 if batch * keys * heads < 2**31 else torch.int64  # sorts in half the time
    image = torch.arange(batch, device=value.device, dtype=kind)[:, None, None]
    head = torch.arange(heads, device=value.device, dtype=kind)
    first = (image * keys * heads + head).expand(batch, queries, heads).reshape(-1, 1)
    rows = (y * width.to(kind) + x + start.to(kind)) * heads + first
    step = width.to(kind) * heads
    return _Samples(rows, step, heads, y_weights, x_weights, y_slopes, x_slopes)


def _bag(rows: Tensor, table: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(rows, table, per_sample_weights=weights, mode='sum')


def _steps(value: Tensor, im2col_step: int) -> list[slice]:
    """Return which images are computed together.

    Raises:
        RuntimeError: If the batch is not a multiple of the step.
    """
    batch = len(value)
    step = min(batch, im2col_step)
    if batch and (step <= 0 or batch % step):
        raise RuntimeError(f'batch({batch}) must divide im2col_step({step})')
    return [slice(i, i + step) for i in range(0, batch, max(step, 1))]


def _working_type(value: Tensor) -> torch.dtype:
    return torch.float64 if value.dtype == torch.float64 else torch.float32


@torch.no_grad()
def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Return weighted sums of bilinear samples. Half types are computed in float32.

    Args:
        value: (N, keys, heads, dims), with the pixels of all levels as keys.
        value_spatial_shapes: (levels, 2): height and width.
        value_level_start_index: (levels,): first key of each level.
        sampling_locations: (N, queries, heads, levels, points, 2): (x, y), 0 to 1 over a map.
        attention_weights: (N, queries, heads, levels, points).
        im2col_step: Images per step; limits the memory.

    Returns:
        (N, queries, heads * dims).

    Raises:
        RuntimeError: If the batch is not a multiple of `im2col_step`.
    """
    _, _, heads, dims = value.shape
    output = value.new_zeros(len(value), sampling_locations.shape[1], heads * dims)
    kind = _working_type(value)
    for part in _steps(value, im2col_step):
        images, places = value[part].to(kind), sampling_locations[part].to(kind)
        samples = _samples(images, value_spatial_shapes, value_level_start_index, places)
        attention = attention_weights[part].to(kind).reshape(samples.rows.shape)
        table = images.reshape(-1, dims)
        summed = table.new_zeros(len(attention), dims)
        for rows, i, j in samples.corners(len(table)):
            summed += _bag(rows, table, attention * samples.y[i] * samples.x[j])
        output[part] = summed.view_as(output[part])
    return output


def _by_table(rows: Tensor, weights: Tensor, grad: Tensor, count: int) -> Tensor:
    """Return a bag's gradient by its table (count, dims), as bags over the uses of each row."""
    ordered, order = rows.flatten().sort()
    starts = torch.searchsorted(ordered, torch.arange(count, device=rows.device, dtype=rows.dtype))
    bags = order // rows.shape[1]
    return F.embedding_bag(
        bags, grad, starts, per_sample_weights=weights.flatten()[order], mode='sum'
    )


@torch.no_grad()
def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Add to `grad_value`; fill `grad_sampling_loc` and `grad_attn_weight`.

    As in the compiled operator. See `ms_deform_attn_forward` for the arguments.

    Raises:
        RuntimeError: If the batch is not a multiple of `im2col_step`.
    """
    dims = value.shape[3]
    kind = _working_type(value)
    for part in _steps(value, im2col_step):
        images, places = value[part].to(kind), sampling_locations[part].to(kind)
        samples = _samples(images, value_spatial_shapes, value_level_start_index, places)
        attention = attention_weights[part].to(kind).reshape(samples.rows.shape)
        table, grad = images.reshape(-1, dims), grad_output[part].to(kind).reshape(-1, dims)
        by_table = torch.zeros_like(table)
        by_attention, by_x, by_y = (torch.zeros_like(attention) for _ in range(3))
        for rows, i, j in samples.corners(len(table)):
            weights = attention * samples.y[i] * samples.x[j]
            by_table += _by_table(rows, weights, grad, len(table))
            with torch.enable_grad():
                weights.requires_grad_()
                (by_weight,) = torch.autograd.grad(_bag(rows, table, weights), weights, grad)
            by_attention += by_weight * samples.y[i] * samples.x[j]
            by_x += by_weight * samples.y[i] * samples.x_slope[j]
            by_y += by_weight * samples.y_slope[i] * samples.x[j]
        grad_value[part] += by_table.view_as(images)
        grad_attn_weight[part] = by_attention.view_as(grad_attn_weight[part])
        by_place = torch.stack((by_x * attention, by_y * attention), -1)
        grad_sampling_loc[part] = by_place.view_as(grad_sampling_loc[part])

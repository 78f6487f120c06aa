"""Attention to a few sampled points of several feature maps (https://arxiv.org/abs/2010.04159).

A sampled value is a weighted sum of four rows of `value`, so an output is a weighted sum of
4 * levels * points rows: that is what `embedding_bag` computes, without a copy of the rows. It is
called once for each of the four corners, which keeps the tables of rows and weights small.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Of the lower and the higher pixel of one axis.
_Pair = tuple[Tensor, Tensor]


class _Samples(NamedTuple):
    """Where samples are; (M, K) for M = N * queries * heads and K = levels * points."""

    rows: Tensor  # upper left corner: its row in `value` seen as (N * keys * heads, dims)
    row_step: Tensor  # (K,): rows from a pixel to the one below
    column_step: int  # rows from a pixel to the next one
    y: _Pair  # weights of the pixels, 0 outside the map
    x: _Pair
    y_slope: _Pair  # their derivatives by the location, whose unit is the map
    x_slope: _Pair

    def corners(self, count: int) -> Iterator[tuple[Tensor, int, int]]:
        """Rows of each corner, and which of `y` and `x` it has.

        A corner outside its map, whose weight is 0, has any of the `count` rows.
        """
        for i in range(2):
            for j in range(2):
                step = i * self.row_step + j * self.column_step
                yield (self.rows + step).clamp_(0, count - 1), i, j


def _axis(position: Tensor, size: Tensor) -> tuple[Tensor, _Pair, _Pair]:
    """Lower pixel, weights and slopes for positions (M, K) on axes of (K,) pixels."""
    # A pixel or more outside, or not a number: no slope either.
    position = torch.where(position > -1, position, -2.0)
    position = torch.minimum(position, size.to(position.dtype))
    low = position.floor()
    share = position - low
    first, second = ((low >= 0) & (low < size)), ((low >= -1) & (low < size - 1))
    weights = ((1 - share).mul_(first), share.mul_(second))
    return low.int(), weights, (first * -size, second * size)


def _samples(value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor) -> _Samples:
    """Finds the corners of `locations` (N, queries, heads, levels, points, 2)."""
    batch, keys, heads, _ = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    height, width, start = (
        t.repeat_interleave(points) for t in (shapes[:, 0], shapes[:, 1], starts)
    )
    places = locations.flatten(3, 4).flatten(0, 2)
    y, y_weights, y_slopes = _axis(places[..., 1] * height - 0.5, height)
    x, x_weights, x_slopes = _axis(places[..., 0] * width - 0.5, width)
    kind = torch.int32 if batch * keys * heads < 2**31 else torch.int64  # half is fast to sort
    image = torch.arange(batch, device=value.device, dtype=kind)[:, None, None]
    head = torch.arange(heads, device=value.device, dtype=kind)
    first = (image * keys * heads + head).expand(batch, queries, heads).reshape(-1, 1)
    rows = (y * width.to(kind) + x + start.to(kind)) * heads + first
    step = width.to(kind) * heads
    return _Samples(rows, step, heads, y_weights, x_weights, y_slopes, x_slopes)


def _bag(rows: Tensor, table: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(rows, table, per_sample_weights=weights, mode='sum')


def _steps(value: Tensor, im2col_step: int) -> list[slice]:
    """Which images go together.

    Raises:
        RuntimeError: The batch is no multiple of the step.
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
    """Weighted sum of bilinear samples. Half types are computed in float32.

    Args:
        value: (N, keys, heads, dims), keys being the pixels of all levels.
        value_spatial_shapes: (levels, 2): height and width.
        value_level_start_index: (levels,): first key of each level.
        sampling_locations: (N, queries, heads, levels, points, 2): (x, y), 0 to 1 over a map.
        attention_weights: (N, queries, heads, levels, points).
        im2col_step: Images at a time; bounds the memory.

    Returns:
        (N, queries, heads * dims).

    Raises:
        RuntimeError: The batch is no multiple of `im2col_step`.
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
    """Gradient of a bag by its table (count, dims): bags again, of what uses each row."""
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
    """Adds to `grad_value`; fills `grad_sampling_loc` and `grad_attn_weight`.

    The compiled operator does so too. Arguments are those of the forward.

    Raises:
        RuntimeError: The batch is no multiple of `im2col_step`.
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

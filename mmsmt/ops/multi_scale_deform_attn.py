"""Attention to a few sampled points of several feature maps (https://arxiv.org/abs/2010.04159).

A sampled value is a weighted sum of four rows of `value`, so an output is a weighted sum of
4 * levels * points rows: that is what `embedding_bag` computes, without a copy of the rows.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class _Corners(NamedTuple):
    """The four rows of each sample; shapes begin with (N, queries, heads, levels, points)."""

    rows: Tensor  # (..., 2, 2), of y and of x: rows of `value` seen as (N * keys * heads, dims)
    y: Tensor  # (..., 2): weights of the upper and the lower corners; 0 outside the map
    x: Tensor  # (..., 2)
    y_slope: Tensor  # (..., 2): derivatives of `y` by the location, whose unit is the map
    x_slope: Tensor  # (..., 2)


def _axis(position: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixels on both sides of a position: numbers, weights, slopes, whether on the map."""
    # A place that is not a number, or so far away that it fits no integer, counts as outside.
    near = (position > -1) & (position < size)
    position = torch.where(near, position, -2.0)
    low = position.floor()
    share = position - low
    pixel = torch.stack((low, low + 1), -1)
    inside = (pixel >= 0) & (pixel < size[..., None])
    weight = torch.stack((1 - share, share), -1) * inside
    one = size.to(position.dtype)[..., None] * inside
    slope = one * torch.tensor((-1, 1), dtype=one.dtype, device=one.device)
    return pixel.long(), weight, slope, inside


def _corners(value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor) -> _Corners:
    batch, keys, heads, _ = value.shape
    queries = locations.shape[1]
    height, width = shapes[:, :1], shapes[:, 1:]  # (levels, 1), beside the points
    y, y_weight, y_slope, y_inside = _axis(locations[..., 1] * height - 0.5, height)
    x, x_weight, x_slope, x_inside = _axis(locations[..., 0] * width - 0.5, width)
    key = (starts[:, None, None] + y * width[..., None])[..., None] + x[..., None, :]
    # Corners outside weigh nothing. Any row would do, but one row for all would have a sum over
    # very many in the backward.
    spare = torch.arange(queries, device=value.device).remainder(max(keys, 1))
    inside = y_inside[..., None] & x_inside[..., None, :]
    key = torch.where(inside, key, spare.view(-1, 1, 1, 1, 1, 1))
    image = torch.arange(batch, device=value.device).view(-1, 1, 1, 1, 1, 1, 1)
    head = torch.arange(heads, device=value.device).view(-1, 1, 1, 1, 1)
    rows = (image * keys + key) * heads + head
    if batch * keys * heads < 2**31:
        rows = rows.int()  # half the memory, and faster to sort
    return _Corners(rows, y_weight, x_weight, y_slope, x_slope)


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
        images = value[part].to(kind)
        places = sampling_locations[part].to(kind)
        corners = _corners(images, value_spatial_shapes, value_level_start_index, places)
        factors = attention_weights[part].to(kind)[..., None] * corners.y
        weights = factors[..., None] * corners.x[..., None, :]
        bags = corners.rows.flatten(3).flatten(0, 2)
        summed = _bag(bags, images.reshape(-1, dims), weights.view(bags.shape))
        output[part] = summed.view_as(output[part])
    return output


def _by_value(rows: Tensor, weights: Tensor, grad: Tensor, count: int) -> Tensor:
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
        images = value[part].to(kind)
        places, attention = sampling_locations[part].to(kind), attention_weights[part].to(kind)
        corners = _corners(images, value_spatial_shapes, value_level_start_index, places)
        area = corners.y[..., None] * corners.x[..., None, :]
        bags = corners.rows.flatten(3).flatten(0, 2)
        weights = (attention[..., None, None] * area).view(bags.shape)
        table, grad = images.reshape(-1, dims), grad_output[part].to(kind).reshape(-1, dims)
        grad_value[part] += _by_value(bags, weights, grad, len(table)).view_as(images)
        with torch.enable_grad():
            weights.requires_grad_()
            (by_weight,) = torch.autograd.grad(_bag(bags, table, weights), weights, grad)
        by_weight = by_weight.view(area.shape)
        by_x = (by_weight * corners.y[..., None]).sum(-2)
        by_y = (by_weight * corners.x[..., None, :]).sum(-1)
        grad_attn_weight[part] = (by_x * corners.x).sum(-1)
        grad_sampling_loc[part, ..., 0] = attention * (by_x * corners.x_slope).sum(-1)
        grad_sampling_loc[part, ..., 1] = attention * (by_y * corners.y_slope).sum(-1)

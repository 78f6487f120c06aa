"""RoI pooling with a learned shift of each bin, forward and backward."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mmsmt.ops.bilinear import (
    Samples,
    check_rois,
    corners,
    from_table,
    full_precision,
    pixel_table,
    sample_rois,
    spread_rows,
    weighted_rows,
)


def _entries(
    rois: Tensor, offset: Tensor, shape: torch.Size, pooled: tuple[int, int],
    scale: float, sampling_ratio: int, gamma: float,
) -> Iterator[tuple[Samples, Tensor, Tensor]]:  # fmt: skip
    """Rows of the pixel table and their weights, differentiable in `offset`, in parts."""
    left, top, right, bottom = (rois[:, 1:] * scale - 0.5).unbind(1)
    width, height = right - left, bottom - top
    cells = pooled[0] * pooled[1]
    for points in sample_rois(height, width, pooled, sampling_ratio):
        roi = points.roi
        y, x = top[roi] + points.y, left[roi] + points.x
        if offset.numel():
            shift = offset.view(len(rois), 2, cells)[roi, :, points.bin % cells]
            x = x + gamma * width[roi] * shift[:, 0]
            y = y + gamma * height[roi] * shift[:, 1]
        pixel, weight = corners(y, x, shape[2], shape[3])
        pixel += (rois[roi, 0].long() * (shape[2] * shape[3]))[:, None]
        yield points, pixel.view(-1), (weight / points.counts[points.bin, None]).view(-1)


def _check(x: Tensor, rois: Tensor, offset: Tensor, output: Tensor) -> None:
    check_rois(x, rois, 5, output)
    if offset.numel() and offset.shape != (len(rois), 2, *output.shape[2:]):
        raise RuntimeError(f'offset has shape {tuple(offset.shape)}')


def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Fill `output` with the average features of each RoI's shifted bins.

    Args:
        input: (N, C, H, W) feature maps.
        rois: (R, 5): index of the image, x1, y1, x2, y2 in pixels of the image.
        offset: (R, 2, pooled_height, pooled_width) shifts to the right and down, in units of
            `gamma` times the RoI's width or height; without elements there are none.
        output: The result, (R, C, pooled_height, pooled_width).
        pooled_height: Bins down.
        pooled_width: Bins across.
        spatial_scale: Pixels of the feature map per pixel of the image.
        sampling_ratio: Samples per bin and axis; 0 is about one per pixel.
        gamma: Scale of the shifts.

    Raises:
        RuntimeError: Types or shapes do not fit.
    """
    _check(input, rois, offset, output)
    if not output.numel():
        return
    table = pixel_table(full_precision(input))
    pooled = (int(pooled_height), int(pooled_width))
    for points, pixel, weight in _entries(
        full_precision(rois), full_precision(offset), input.shape, pooled,
        float(spatial_scale), int(sampling_ratio), float(gamma),
    ):  # fmt: skip
        sums = weighted_rows(table, pixel, weight, points.starts * 4)
        part = sums.view(-1, *pooled, input.shape[1]).permute(0, 3, 1, 2)
        output[points.first : points.last] = part.to(output.dtype)


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Add the gradients to `grad_input` and `grad_offset`; arguments as in the forward.

    Args:
        grad_output: (R, C, pooled_height, pooled_width).
        input: As in the forward, and so all others.
        rois: See there.
        offset: See there.
        grad_input: (N, C, H, W), zeros to start with.
        grad_offset: Of the shape of `offset`, zeros to start with.
        pooled_height: See there.
        pooled_width: See there.
        spatial_scale: See there.
        sampling_ratio: See there.
        gamma: See there.

    Raises:
        RuntimeError: Types or shapes do not fit.
    """
    _check(input, rois, offset, grad_output)
    if not grad_output.numel():
        return
    grad = full_precision(grad_output)
    table = pixel_table(full_precision(input.detach()))
    total: Tensor | None = None
    shape, pooled = input.shape, (int(pooled_height), int(pooled_width))
    with torch.enable_grad():
        shifts = full_precision(offset).detach().requires_grad_(bool(offset.numel()))
        for points, pixel, weight in _entries(
            full_precision(rois), shifts, shape, pooled,
            float(spatial_scale), int(sampling_ratio), float(gamma),
        ):  # fmt: skip
            part = pixel_table(grad[points.first : points.last])
            bins = points.bin.repeat_interleave(4, output_size=len(pixel))
            spread = spread_rows(part, pixel, weight.detach(), bins, len(table))
            total = spread if total is None else total.add_(spread)
            if weight.requires_grad:
                sums = weighted_rows(table, pixel, weight, points.starts * 4)
                grad_offset += torch.autograd.grad(sums, shifts, part)[0].to(grad_offset.dtype)
    if total is not None:
        grad_input += from_table(total, shape).to(grad_input.dtype)

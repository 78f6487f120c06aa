"""RoI pooling with a learned shift of each bin, forward and backward."""

import torch
from torch import Tensor

from mmsmt.ops.bilinear import full_precision, pixel_table, weighted_rows
from mmsmt.ops.roi_bins import (
    Entries,
    average_bins,
    average_entries,
    check_rois,
    sample_rois,
    spread_bins,
)


def _entries(
    rois: Tensor, offset: Tensor, shape: torch.Size, pooled: tuple[int, int],
    scale: float, sampling_ratio: int, gamma: float,
) -> Entries:  # fmt: skip
    """Yield rows of the pixel table and their weights, differentiable in `offset`, in parts."""
    left, top, right, bottom = (rois[:, 1:] * scale - 0.5).unbind(1)
    width, height = right - left, bottom - top
    cells = pooled[0] * pooled[1]
    for points in sample_rois(top, left, height, width, pooled, sampling_ratio):
        roi, y, x = points.roi, points.y, points.x
        if offset.numel():
            shift = offset.view(len(rois), 2, cells)[roi, :, points.bin % cells]
            x = x + gamma * width[roi] * shift[:, 0]
            y = y + gamma * height[roi] * shift[:, 1]
        yield average_entries(points, y, x, rois, shape)


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
            `gamma` times the RoI's width or height; empty for none.
        output: The result, (R, C, pooled_height, pooled_width).
        pooled_height: Number of bins vertically.
        pooled_width: Number of bins horizontally.
        spatial_scale: Pixels of the feature map per pixel of the image.
        sampling_ratio: Samples per bin and axis; 0 for about one per pixel.
        gamma: Scale of the shifts.

    Raises:
        RuntimeError: If types or shapes do not fit.
    """
    _check(input, rois, offset, output)
    if not output.numel():
        return
    pooled = (int(pooled_height), int(pooled_width))
    entries = _entries(
        full_precision(rois), full_precision(offset), input.shape, pooled,
        float(spatial_scale), int(sampling_ratio), float(gamma),
    )  # fmt: skip
    average_bins(input, entries, output)


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
    """Add the gradients to `grad_input` and `grad_offset`.

    Args:
        grad_output: (R, C, pooled_height, pooled_width).
        input: See `deform_roi_pool_forward`.
        rois: See `deform_roi_pool_forward`.
        offset: See `deform_roi_pool_forward`.
        grad_input: (N, C, H, W), initially zeros.
        grad_offset: Same shape as `offset`, initially zeros.
        pooled_height: See `deform_roi_pool_forward`.
        pooled_width: See `deform_roi_pool_forward`.
        spatial_scale: See `deform_roi_pool_forward`.
        sampling_ratio: See `deform_roi_pool_forward`.
        gamma: See `deform_roi_pool_forward`.

    Raises:
        RuntimeError: If types or shapes do not fit.
    """
    _check(input, rois, offset, grad_output)
    if not grad_output.numel():
        return
    exact, shifts = full_precision(rois), full_precision(offset.detach())
    pooled = (int(pooled_height), int(pooled_width))
    options = (pooled, float(spatial_scale), int(sampling_ratio), float(gamma))
    spread_bins(grad_output, _entries(exact, shifts, input.shape, *options), grad_input)
    if not offset.numel():
        return
    table, grad = pixel_table(full_precision(input.detach())), full_precision(grad_output)
    with torch.enable_grad():
        shifts = shifts.detach().requires_grad_()
        for points, pixel, weight in _entries(exact, shifts, input.shape, *options):
            sums = weighted_rows(table, pixel, weight, points.starts * 4)
            part = pixel_table(grad[points.first : points.last])
            grad_offset += torch.autograd.grad(sums, shifts, part)[0].to(grad_offset.dtype)

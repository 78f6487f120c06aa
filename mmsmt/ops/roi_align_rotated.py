"""RoIAlign of rotated RoIs, forward and backward."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mmsmt.ops.bilinear import (
    Samples,
    check_rois,
    check_sizes,
    corners,
    from_table,
    full_precision,
    pixel_table,
    sample_rois,
    spread_rows,
    weighted_rows,
)


def _entries(
    rois: Tensor, shape: torch.Size, pooled: tuple[int, int],
    scale: float, sampling_ratio: int, aligned: bool, clockwise: bool,
) -> Iterator[tuple[Samples, Tensor, Tensor]]:  # fmt: skip
    """Rows of the pixel table and their weights in each bin's average, in parts."""
    shift = 0.5 if aligned else 0.0
    centre_x, centre_y = rois[:, 1] * scale - shift, rois[:, 2] * scale - shift
    width, height = rois[:, 3] * scale, rois[:, 4] * scale
    if not aligned:
        width, height = width.clamp(min=1), height.clamp(min=1)
    angle = -rois[:, 5] if clockwise else rois[:, 5]
    cos, sin = angle.cos(), angle.sin()
    for points in sample_rois(height, width, pooled, sampling_ratio):
        roi = points.roi
        y, x = points.y - height[roi] / 2, points.x - width[roi] / 2
        c, s = cos[roi], sin[roi]
        pixel, weight = corners(
            y * c - x * s + centre_y[roi], y * s + x * c + centre_x[roi], shape[2], shape[3]
        )
        pixel += (rois[roi, 0].long() * (shape[2] * shape[3]))[:, None]
        yield points, pixel.view(-1), (weight / points.counts[points.bin, None]).view(-1)


def roi_align_rotated_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
) -> None:
    """Fill `output` with the average features of each rotated RoI's bins.

    Args:
        input: (N, C, H, W) feature maps.
        rois: (R, 6): index of the image, centre x and y, width, height in pixels of the image,
            angle in radians.
        output: The result, (R, C, pooled_height, pooled_width).
        pooled_height: Bins down.
        pooled_width: Bins across.
        spatial_scale: Pixels of the feature map per pixel of the image.
        sampling_ratio: Samples per bin and axis; 0 is about one per pixel.
        aligned: Count pixels from their centres; else RoIs have at least one pixel.
        clockwise: Positive angles turn clockwise in the image.

    Raises:
        RuntimeError: Types or shapes do not fit; on a CPU also negative sizes where `aligned`.
    """
    check_rois(input, rois, 6, output)
    if not output.numel():
        return
    exact = full_precision(rois)
    if aligned:
        check_sizes(exact[:, 3], exact[:, 4])
    table = pixel_table(full_precision(input))
    pooled = (int(pooled_height), int(pooled_width))
    for points, pixel, weight in _entries(
        exact, input.shape, pooled, float(spatial_scale), int(sampling_ratio), aligned, clockwise
    ):
        sums = weighted_rows(table, pixel, weight, points.starts * 4)
        part = sums.view(-1, *pooled, input.shape[1]).permute(0, 3, 1, 2)
        output[points.first : points.last] = part.to(output.dtype)


def roi_align_rotated_backward(
    grad_output: Tensor,
    rois: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
) -> None:
    """Add the gradient of the feature maps to `grad_input`; arguments as in the forward.

    The compiled module names the first three parameters in another order than it takes them.

    Args:
        grad_output: (R, C, pooled_height, pooled_width).
        rois: As in the forward, and so all others.
        grad_input: (N, C, H, W), zeros to start with.
        pooled_height: See there.
        pooled_width: See there.
        spatial_scale: See there.
        sampling_ratio: See there.
        aligned: See there.
        clockwise: See there.

    Raises:
        RuntimeError: Types or shapes do not fit.
    """
    check_rois(grad_input, rois, 6, grad_output)
    if not grad_output.numel():
        return
    grad = full_precision(grad_output)
    shape, pooled = grad_input.shape, (int(pooled_height), int(pooled_width))
    total: Tensor | None = None
    for points, pixel, weight in _entries(
        full_precision(rois), shape, pooled,
        float(spatial_scale), int(sampling_ratio), aligned, clockwise,
    ):  # fmt: skip
        part = pixel_table(grad[points.first : points.last])
        bins = points.bin.repeat_interleave(4, output_size=len(pixel))
        table = spread_rows(part, pixel, weight, bins, shape[0] * shape[2] * shape[3])
        total = table if total is None else total.add_(table)
    if total is not None:
        grad_input += from_table(total, shape).to(grad_input.dtype)

"""RoIAlign of rotated RoIs, forward and backward."""

import torch
from torch import Tensor

from mmsmt.ops.bilinear import full_precision
from mmsmt.ops.roi_bins import (
    Entries,
    average_bins,
    average_entries,
    check_rois,
    check_sizes,
    sample_rois,
    spread_bins,
)


def _entries(
    rois: Tensor, shape: torch.Size, pooled: tuple[int, int],
    scale: float, sampling_ratio: int, aligned: bool, clockwise: bool,
) -> Entries:  # fmt: skip
    """Yield rows of the pixel table and their weights in each bin's average, in parts."""
    shift = 0.5 if aligned else 0.0
    centre_x, centre_y = rois[:, 1] * scale - shift, rois[:, 2] * scale - shift
    width, height = rois[:, 3] * scale, rois[:, 4] * scale
    if not aligned:
        width, height = width.clamp(min=1), height.clamp(min=1)
    angle = -rois[:, 5] if clockwise else rois[:, 5]
    cos, sin = angle.cos(), angle.sin()
    for points in sample_rois(-height / 2, -width / 2, height, width, pooled, sampling_ratio):
        roi, y, x = points.roi, points.y, points.x
        c, s = cos[roi], sin[roi]
        down, across = y * c - x * s + centre_y[roi], y * s + x * c + centre_x[roi]
        yield average_entries(points, down, across, rois, shape)


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
        pooled_height: Number of bins vertically.
        pooled_width: Number of bins horizontally.
        spatial_scale: Pixels of the feature map per pixel of the image.
        sampling_ratio: Samples per bin and axis; 0 for about one per pixel.
        aligned: Whether coordinates refer to pixel centres; otherwise RoIs have at least one pixel.
        clockwise: Whether positive angles are clockwise in the image.

    Raises:
        RuntimeError: If types or shapes do not fit; on a CPU also for negative sizes if `aligned`.
    """
    check_rois(input, rois, 6, output)
    if not output.numel():
        return
    exact = full_precision(rois)
    if aligned:
        check_sizes(exact[:, 3], exact[:, 4])
    pooled = (int(pooled_height), int(pooled_width))
    entries = _entries(
        exact, input.shape, pooled, float(spatial_scale), int(sampling_ratio), aligned, clockwise
    )
    average_bins(input, entries, output)


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
    """Add the gradient of the feature maps to `grad_input`.

    The names of the first three parameters in the compiled module do not match their order.

    Args:
        grad_output: (R, C, pooled_height, pooled_width).
        rois: See `roi_align_rotated_forward`.
        grad_input: (N, C, H, W), initially zeros.
        pooled_height: See `roi_align_rotated_forward`.
        pooled_width: See `roi_align_rotated_forward`.
        spatial_scale: See `roi_align_rotated_forward`.
        sampling_ratio: See `roi_align_rotated_forward`.
        aligned: See `roi_align_rotated_forward`.
        clockwise: See `roi_align_rotated_forward`.

    Raises:
        RuntimeError: If types or shapes do not fit.
    """
    check_rois(grad_input, rois, 6, grad_output)
    if not grad_output.numel():
        return
    exact, pooled = full_precision(rois), (int(pooled_height), int(pooled_width))
    entries = _entries(
        exact, grad_input.shape, pooled,
        float(spatial_scale), int(sampling_ratio), aligned, clockwise,
    )  # fmt: skip
    spread_bins(grad_output, entries, grad_input)

"""RoIAlign with average or maximum pooling, forward and backward."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mmsmt.ops.bilinear import corners, full_precision, pixel_table, weighted_rows
from mmsmt.ops.roi_bins import (
    Entries,
    Samples,
    average_bins,
    average_entries,
    check_rois,
    check_sizes,
    sample_rois,
    spread_bins,
)

MAX = 0  # pool_mode; anything else is average pooling


def _boxes(rois: Tensor, scale: float, aligned: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return left, top, width and height of RoIs in pixels of the feature map."""
    shift = 0.5 if aligned else 0.0
    left, top, right, bottom = (rois[:, 1:] * scale - shift).unbind(1)
    width, height = right - left, bottom - top
    if not aligned:
        width, height = width.clamp(min=1), height.clamp(min=1)
    return left, top, width, height


def _sample_points(
    rois: Tensor, pooled: tuple[int, int], scale: float, sampling_ratio: int, aligned: bool
) -> Iterator[Samples]:
    """Yield the points of the RoIs in parts."""
    left, top, width, height = _boxes(rois, scale, aligned)
    return sample_rois(top, left, height, width, pooled, sampling_ratio)


def _entries(
    rois: Tensor, shape: torch.Size, pooled: tuple[int, int],
    scale: float, sampling_ratio: int, aligned: bool,
) -> Entries:  # fmt: skip
    """Yield rows of the pixel table and their weights in each bin's average, in parts."""
    for points in _sample_points(rois, pooled, scale, sampling_ratio, aligned):
        yield average_entries(points, points.y, points.x, rois, shape)


def _by_rows(x: Tensor) -> bool:
    """Return whether sums of rows are faster than torchvision: on a CPU, by a factor of 3 to 7."""
    return x.device.type == 'cpu' and x.dtype == torch.float32


def _lowest(device: torch.device) -> float:
    """Return the maximum of a bin without points, which differs between CPU and CUDA in mmcv."""
    return -10000.0 if device.type == 'cpu' else torch.finfo(torch.float32).min


def _max_forward(
    x: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor,
    scale: float, sampling_ratio: int, aligned: bool,
) -> None:  # fmt: skip
    """Keep the highest sample of each bin, and its position per channel.

    The k-th samples of all bins are compared with the best so far, for each k.
    """
    _, channels, height, width = x.shape
    table = pixel_table(x)
    pooled = (output.shape[2], output.shape[3])
    for points in _sample_points(rois, pooled, scale, sampling_ratio, aligned):
        pixel, weight = corners(points.y, points.x, height, width)
        pixel += (rois[points.roi, 0].long() * (height * width))[:, None]
        best = table.new_full((len(points.counts), channels), _lowest(table.device))
        best_y, best_x = torch.full_like(best, -1.0), torch.full_like(best, -1.0)
        for k in range(sampling_ratio**2 if sampling_ratio > 0 else int(points.counts.max())):
            active: Tensor | slice = slice(None)
            if sampling_ratio <= 0:
                active = (points.counts > k).nonzero().squeeze(1)
            point = points.starts[active] + k
            starts = torch.arange(0, 4 * len(point), 4, device=point.device)
            value = weighted_rows(table, pixel[point].view(-1), weight[point].view(-1), starts)
            higher = value > best[active]
            best[active] = torch.where(higher, value, best[active])
            best_y[active] = torch.where(higher, points.y[point, None], best_y[active])
            best_x[active] = torch.where(higher, points.x[point, None], best_x[active])
        part = slice(points.first, points.last)
        for target, result in ((output, best), (argmax_y, best_y), (argmax_x, best_x)):
            target[part] = result.view(-1, *pooled, channels).permute(0, 3, 1, 2).to(target.dtype)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill `output` with the pooled features of each RoI.

    Args:
        input: (N, C, H, W) feature maps.
        rois: (R, 5): index of the image, x1, y1, x2, y2 in pixels of the image.
        output: The result, (R, C, aligned_height, aligned_width).
        argmax_y: With maximum pooling, filled with the rows of the maxima, in pixels of the feature
            map, same shape; -1 if a bin has no sample above the lowest value.
        argmax_x: Columns of the same maxima.
        aligned_height: Number of bins vertically.
        aligned_width: Number of bins horizontally.
        spatial_scale: Pixels of the feature map per pixel of the image.
        sampling_ratio: Samples per bin and axis; 0 for about one per pixel.
        pool_mode: 0 for the maximum, 1 for the average of the samples.
        aligned: Whether coordinates refer to pixel centres; otherwise as in the first version, with
            RoIs of at least one pixel.

    Raises:
        RuntimeError: If types or shapes do not fit; on a CPU also an `aligned` RoI that ends before
            it starts.
    """
    check_rois(input, rois, 5, output)
    if not output.numel():
        return
    x, exact = full_precision(input), full_precision(rois)
    size = (int(aligned_height), int(aligned_width))
    scale, ratio = float(spatial_scale), int(sampling_ratio)
    _, _, width, height = _boxes(exact, scale, aligned)
    check_sizes(width, height)
    if pool_mode == MAX:
        _max_forward(x, exact, output, argmax_y, argmax_x, scale, ratio, aligned)
    elif _by_rows(x):
        average_bins(x, _entries(exact, x.shape, size, scale, ratio, aligned), output)
    else:
        pooled = torch.ops.torchvision.roi_align(x, exact, scale, *size, ratio, bool(aligned))
        output.copy_(pooled)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient of the feature maps to `grad_input`.

    Args:
        grad_output: (R, C, aligned_height, aligned_width).
        rois: See `roi_align_forward`.
        argmax_y: From the forward.
        argmax_x: From the forward.
        grad_input: (N, C, H, W), initially zeros.
        aligned_height: See `roi_align_forward`.
        aligned_width: See `roi_align_forward`.
        spatial_scale: See `roi_align_forward`.
        sampling_ratio: See `roi_align_forward`.
        pool_mode: See `roi_align_forward`.
        aligned: See `roi_align_forward`.

    Raises:
        RuntimeError: If types or shapes do not fit.
    """
    check_rois(grad_input, rois, 5, grad_output)
    if not grad_output.numel():
        return
    grad, exact = full_precision(grad_output), full_precision(rois)
    _, channels, height, width = grad_input.shape
    size = (int(aligned_height), int(aligned_width))
    scale, ratio = float(spatial_scale), int(sampling_ratio)
    if pool_mode != MAX:
        if _by_rows(grad):
            entries = _entries(exact, grad_input.shape, size, scale, ratio, aligned)
            spread_bins(grad, entries, grad_input)
            return
        grad_input += torch.ops.torchvision._roi_align_backward(
            grad.contiguous(), exact, scale, *size, *grad_input.shape, ratio, bool(aligned)
        ).to(grad_input.dtype)
        return
    pixel, weight = corners(full_precision(argmax_y), full_precision(argmax_x), height, width)
    grad = grad * (argmax_y != -1)  # skip bins without a maximum
    plane = exact[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    pixel += (plane * (height * width))[:, :, None, None, None]
    total = grad.new_zeros(grad_input.numel())
    for corner in range(4):
        share = weight[..., corner] * grad
        total.scatter_add_(0, pixel[..., corner].reshape(-1), share.reshape(-1))
    grad_input += total.view_as(grad_input).to(grad_input.dtype)

"""RoIAlign with average or maximum pooling, forward and backward."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mmsmt.ops.bilinear import (
    Samples,
    check_rois,
    check_sizes,
    corners,
    full_precision,
    pixel_table,
    sample_rois,
    weighted_rows,
)

MAX = 0  # pool_mode; anything else is the average


def _boxes(rois: Tensor, scale: float, aligned: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, top, width and height of RoIs in pixels of the feature map."""
    shift = 0.5 if aligned else 0.0
    left, top, right, bottom = (rois[:, 1:] * scale - shift).unbind(1)
    width, height = right - left, bottom - top
    if not aligned:
        width, height = width.clamp(min=1), height.clamp(min=1)
    return left, top, width, height


def _sample_points(
    rois: Tensor, pooled: tuple[int, int], scale: float, sampling_ratio: int, aligned: bool
) -> Iterator[tuple[Samples, Tensor, Tensor]]:
    """Points of the RoIs in parts, with their positions down and across the feature map."""
    left, top, width, height = _boxes(rois, scale, aligned)
    for points in sample_rois(height, width, pooled, sampling_ratio):
        yield points, top[points.roi] + points.y, left[points.roi] + points.x


def _lowest(device: torch.device) -> float:
    """Maximum of a bin without a point: the compiled operators differ between CPU and CUDA."""
    return -10000.0 if device.type == 'cpu' else torch.finfo(torch.float32).min


def _max_forward(
    x: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor,
    scale: float, sampling_ratio: int, aligned: bool,
) -> None:  # fmt: skip
    """Keep the highest sample of each bin, and per channel where it was.

    The k-th samples of all bins are compared with the best so far, k by k.
    """
    _, channels, height, width = x.shape
    table = pixel_table(full_precision(x))
    exact = full_precision(rois)
    pooled = (output.shape[2], output.shape[3])
    for points, y, x_ in _sample_points(exact, pooled, scale, sampling_ratio, aligned):
        pixel, weight = corners(y, x_, height, width)
        pixel += (exact[points.roi, 0].long() * (height * width))[:, None]
        bins = len(points.counts)
        best = table.new_full((bins, channels), _lowest(table.device))
        where = [torch.full_like(best, -1.0) for _ in range(2)]
        for k in range(sampling_ratio**2 if sampling_ratio > 0 else int(points.counts.max())):
            active = (points.counts > k).nonzero().squeeze(1)
            point = points.starts[active] + k
            starts = torch.arange(0, 4 * len(point), 4, device=point.device)
            value = weighted_rows(table, pixel[point].view(-1), weight[point].view(-1), starts)
            higher = value > best[active]
            best[active] = torch.where(higher, value, best[active])
            for place, position in zip(where, (y, x_)):
                place[active] = torch.where(higher, position[point, None], place[active])
        part = slice(points.first, points.last)
        for target, result in zip((output, argmax_y, argmax_x), (best, *where)):
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
        argmax_y: With maximum pooling filled with the positions of the maxima, in pixels of the
            feature map, same shape; -1 where a bin has no sample above the lowest value.
        argmax_x: Likewise.
        aligned_height: Bins down.
        aligned_width: Bins across.
        spatial_scale: Pixels of the feature map per pixel of the image.
        sampling_ratio: Samples per bin and axis; 0 is about one per pixel.
        pool_mode: 0 is the maximum, 1 the average of the samples.
        aligned: Count pixels from their centres; else as in the first version, with RoIs of at
            least one pixel.

    Raises:
        RuntimeError: Types or shapes do not fit; on a CPU also an `aligned` RoI that ends before
            it starts.
    """
    check_rois(input, rois, 5, output)
    if not output.numel():
        return
    scale = float(spatial_scale)
    _, _, width, height = _boxes(full_precision(rois), scale, aligned)
    check_sizes(width, height)
    if pool_mode == MAX:
        _max_forward(
            input, rois, output, argmax_y, argmax_x, scale, int(sampling_ratio), bool(aligned)
        )
        return
    size = (int(aligned_height), int(aligned_width))
    output.copy_(
        torch.ops.torchvision.roi_align(
            full_precision(input), full_precision(rois), scale, *size,
            int(sampling_ratio), bool(aligned),
        )
    )  # fmt: skip


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
    """Add the gradient of the feature maps to `grad_input`; arguments as in the forward.

    Args:
        grad_output: (R, C, aligned_height, aligned_width).
        rois: As in the forward, and so all others.
        argmax_y: From the forward.
        argmax_x: From the forward.
        grad_input: (N, C, H, W), zeros to start with.
        aligned_height: See there.
        aligned_width: See there.
        spatial_scale: See there.
        sampling_ratio: See there.
        pool_mode: See there.
        aligned: See there.

    Raises:
        RuntimeError: Types or shapes do not fit.
    """
    check_rois(grad_input, rois, 5, grad_output)
    if not grad_output.numel():
        return
    grad, exact = full_precision(grad_output), full_precision(rois)
    count, channels, height, width = grad_input.shape
    if pool_mode != MAX:
        size = (int(aligned_height), int(aligned_width), count, channels, height, width)
        grad_input += torch.ops.torchvision._roi_align_backward(
            grad.contiguous(), exact, float(spatial_scale), *size,
            int(sampling_ratio), bool(aligned),
        ).to(grad_input.dtype)  # fmt: skip
        return
    pixel, weight = corners(full_precision(argmax_y), full_precision(argmax_x), height, width)
    grad = grad * (argmax_y != -1)  # bins without a maximum
    plane = exact[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    pixel += (plane * (height * width))[:, :, None, None, None]
    total = grad.new_zeros(grad_input.numel())
    for corner in range(4):
        share = weight[..., corner] * grad
        total.scatter_add_(0, pixel[..., corner].reshape(-1), share.reshape(-1))
    grad_input += total.view_as(grad_input).to(grad_input.dtype)

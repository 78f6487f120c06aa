"""RoIPool: the maximum of each bin of a RoI, forward and backward.

torchvision's operator of this name rounds RoIs to integer pixels; this one does not.
"""

import torch
from torch import Tensor

from mmsmt.ops.bilinear import full_precision, pixel_table
from mmsmt.ops.roi_bins import check_rois


def _edges(start: Tensor, size: Tensor, bins: int, limit: int) -> tuple[Tensor, Tensor]:
    """Return the first pixel and the one after the last of bins along an axis, (R, bins)."""
    step = torch.arange(bins + 1, device=start.device)
    borders = step * (size / bins)[:, None] + start[:, None]
    first, last = borders[:, :-1].floor(), borders[:, 1:].ceil()
    return first.clamp(0, limit).long(), last.clamp(0, limit).long()


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fill `output` with the maxima of each RoI's bins, and `argmax` with their pixels.

    Bins outside the map are 0, and so are those of a RoI that ends before it starts. The compiled
    CUDA operator does not set the pixels of such a RoI: their gradient goes to pixel 0.

    Args:
        input: (N, C, H, W) feature maps.
        rois: (R, 5): index of the image, x1, y1, x2, y2 in pixels, where the last pixel belongs to
            the RoI.
        output: The result, (R, C, pooled_height, pooled_width).
        argmax: int32 of the same shape: row * W + column, or -1 if there is no maximum.
        pooled_height: Number of bins vertically.
        pooled_width: Number of bins horizontally.
        spatial_scale: Pixels of the feature map per pixel of the image.

    Raises:
        RuntimeError: If types or shapes do not fit.
    """
    check_rois(input, rois, 5, output)
    if not output.numel():
        return
    _, channels, height, width = input.shape
    exact = full_precision(rois)
    left, top = exact[:, 1] * spatial_scale, exact[:, 2] * spatial_scale
    roi_w = (exact[:, 3] + 1) * spatial_scale - left
    roi_h = (exact[:, 4] + 1) * spatial_scale - top
    pooled = (int(pooled_height), int(pooled_width))
    y1, y2 = (edge[:, :, None] for edge in _edges(top, roi_h, pooled[0], height))
    x1, x2 = (edge[:, None, :] for edge in _edges(left, roi_w, pooled[1], width))
    rows, columns = (y2 - y1).clamp(min=0), (x2 - x1).clamp(min=0)
    valid = (roi_w > 0) & (roi_h > 0)
    counts = (rows * columns * valid[:, None, None]).view(-1)
    columns = columns.expand(-1, pooled[0], -1).reshape(-1)
    base = exact[:, 0].long()[:, None, None] * height + y1
    origin = (base * width + x1).view(-1)
    plane = (y1 * width + x1).view(-1)

    table = pixel_table(full_precision(input))
    best = table.new_full((len(counts), channels), torch.finfo(torch.float32).min)
    best[counts == 0] = 0
    where = torch.full_like(best, -1, dtype=argmax.dtype)
    # The k-th pixels of all bins are compared with the best so far: row by row, the first one wins.
    for k in range(int(counts.max())):
        active = (counts > k).nonzero().squeeze(1)
        across = columns[active]
        step = k // across * width + k % across
        value = table[origin[active] + step]
        higher = value > best[active]
        best[active] = torch.where(higher, value, best[active])
        pixel = (plane[active] + step).to(where.dtype)
        where[active] = torch.where(higher, pixel[:, None], where[active])
    for target, result in ((output, best), (argmax, where)):
        target.copy_(result.view(-1, *pooled, channels).permute(0, 3, 1, 2))


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add the gradient of the feature maps to `grad_input`.

    Args:
        grad_output: (R, C, pooled_height, pooled_width).
        rois: See `roi_pool_forward`.
        argmax: Result of the forward pass.
        grad_input: (N, C, H, W), initially zeros.
        pooled_height: Not used.
        pooled_width: Not used.
        spatial_scale: Not used.

    Raises:
        RuntimeError: If types or shapes do not fit.
    """
    check_rois(grad_input, rois, 5, grad_output)
    if not grad_output.numel():
        return
    grad = full_precision(grad_output)
    _, channels, height, width = grad_input.shape
    image = full_precision(rois)[:, 0].long()[:, None]
    plane = image * channels + torch.arange(channels, device=rois.device)
    pixel = plane[:, :, None, None] * (height * width) + argmax.clamp(min=0)
    total = grad.new_zeros(grad_input.numel())
    total.scatter_add_(0, pixel.view(-1), (grad * (argmax >= 0)).view(-1))
    grad_input += total.view_as(grad_input).to(grad_input.dtype)

"""Overlap of axis-aligned boxes."""

import torch
from torch import Tensor

from mmsmt.ops.bilinear import full_precision


def areas(boxes: Tensor, offset: int = 0) -> Tensor:
    """Return the area of boxes (..., 4) in (x1, y1, x2, y2); `offset` is added to both sides."""
    return (boxes[..., 2] - boxes[..., 0] + offset) * (boxes[..., 3] - boxes[..., 1] + offset)


def intersections(first: Tensor, second: Tensor, offset: int = 0) -> Tensor:
    """Return the common area of boxes (..., 4) of both tensors, which are broadcast."""
    left = torch.maximum(first[..., 0], second[..., 0])
    width = torch.minimum(first[..., 2], second[..., 2]) - left + offset
    top = torch.maximum(first[..., 1], second[..., 1])
    height = torch.minimum(first[..., 3], second[..., 3]) - top + offset
    return width.clamp(min=0) * height.clamp(min=0)


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Fill `ious` with intersection over union, or over the first box's area.

    A pair without area is NaN, as in the compiled operator.

    Args:
        bboxes1: (M, 4) boxes in (x1, y1, x2, y2).
        bboxes2: (N, 4) boxes, with M = N if `aligned`.
        ious: The result, (M, N), or (M,) if `aligned`.
        mode: 0 for the union, anything else for the area of the first box.
        aligned: Compare boxes in pairs instead of all with all.
        offset: Added to width and height; 1 for integer pixel coordinates.

    Raises:
        RuntimeError: If the shape of `ious` does not fit.
    """
    if not bboxes1.numel() or not bboxes2.numel():
        return
    first, second = full_precision(bboxes1), full_precision(bboxes2)
    area1, area2 = areas(first, offset), areas(second, offset)
    if not aligned:
        first, area1 = first[:, None], area1[:, None]
    common = intersections(first, second, offset)
    ious.copy_(common / (area1 + area2 - common if mode == 0 else area1))

"""Pasting of region masks into whole images, in plain PyTorch and in exported files."""

from typing import Any

import torch
from torch import Tensor

from mmsmt.deploy.detections.boxes import Size
from mmsmt.errors import UsageError


def paste_masks(masks: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5) -> Tensor:
    """Paste masks into whole images, as mmdet does on a GPU.

    Args:
        masks: Probabilities (..., h, w) inside each box, as in an exported file.
        boxes: (..., 4), x1 y1 x2 y2 in pixels of the image.
        size: Height and width of the image, in pixels.
        threshold: Minimum probability that counts as inside.

    Returns:
        (..., height, width), bool.

    Examples:
        >>> import torch
        >>> from mmsmt.deploy import paste_masks
        >>> mask = paste_masks(torch.ones(1, 28, 28), torch.tensor([[2.0, 3.0, 6.0, 5.0]]), (8, 8))
        >>> mask.shape, mask.sum().item()
        (torch.Size([1, 8, 8]), 8)
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    rows = _weights(y1, y2, size[0], masks.shape[-2])
    columns = _weights(x1, x2, size[1], masks.shape[-1])
    return rows @ masks @ columns.transpose(-1, -2) >= threshold


def _weights(start: Tensor, end: Tensor, length: int, cells: int) -> Tensor:
    """Return the weight of each cell of a mask for a line of pixels, (..., length, cells).

    A box's sides are parallel to the image's, so the bilinear `grid_sample` with
    `align_corners=False` used by mmdet is a product of these matrices. That takes half the time,
    and no memory for a grid of two numbers per pixel.

    Args:
        start: (...), first side of the boxes, in pixels.
        end: (...), second side.
        length: Number of pixels.
        cells: Number of a mask's cells between `start` and `end`.
    """
    start, side = start[..., None], (end - start)[..., None]
    pixels = torch.arange(length, device=start.device, dtype=start.dtype) + 0.5
    # Like mmdet, use the middle of a mask whose box is empty.
    place = torch.where(side > 0, (pixels - start) / side * 2 - 1, 0.0)
    place = ((place + 1) * cells - 1) / 2
    gap = place[..., None] - torch.arange(cells, device=start.device, dtype=start.dtype)
    return (1 - gap.abs()).clamp(min=0)


def threshold_of(model: Any) -> float:
    """Return the probability above which a detector's pixel belongs to an object.

    Raises:
        UsageError: If the config asks for probabilities, with a negative value.
    """
    threshold = model.roi_head.test_cfg.mask_thr_binary
    if threshold < 0:
        raise UsageError(
            f'--masks images: model.test_cfg.rcnn.mask_thr_binary is {threshold}, '
            'it must be at least 0'
        )
    return threshold


def paste_found(found: dict[str, Tensor], size: Size, threshold: float) -> dict[str, Tensor]:
    """Replace masks of regions by masks (B, K, height, width), empty from `count` on.

    Args:
        found: Detections with masks, see `mmsmt.deploy.detections.boxes.detections`.
        size: Height and width of the images, in pixels.
        threshold: See `paste_masks`.
    """
    valid = found['labels'] >= 0
    masks = paste_masks(found['masks'], found['boxes'], size, threshold)
    return found | {'masks': masks & valid[..., None, None]}

"""Masks of regions pasted into whole images, in plain torch and in exported files."""

from typing import Any

import torch
from torch import Tensor

from mmsmt.deploy.detections.boxes import Size
from mmsmt.errors import UsageError


def paste_masks(masks: Tensor, boxes: Tensor, size: Size, threshold: float = 0.5) -> Tensor:
    """Masks of whole images, as mmdet pastes them on a GPU.

    Args:
        masks: (..., h, w), probabilities inside each box, as an exported file gives them.
        boxes: (..., 4), x1 y1 x2 y2 in pixels of the image.
        size: Height and width of the image, in pixels.
        threshold: The lowest probability that counts as inside.

    Returns:
        (..., height, width), bool.
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    rows = _weights(y1, y2, size[0], masks.shape[-2])
    columns = _weights(x1, x2, size[1], masks.shape[-1])
    return rows @ masks @ columns.transpose(-1, -2) >= threshold


def _weights(start: Tensor, end: Tensor, length: int, cells: int) -> Tensor:
    """How much of each cell of a mask a line of pixels gets, (..., length, cells).

    A box's sides are parallel to the image's. Bilinear `grid_sample` with `align_corners=False`,
    which mmdet pastes with, is then a product of these matrices. That takes half the time, and no
    memory for a grid of two numbers a pixel.

    Args:
        start: (...), first side of boxes, in pixels.
        end: (...), second side.
        length: Number of pixels.
        cells: Number of a mask's cells between `start` and `end`.
    """
    start, side = start[..., None], (end - start)[..., None]
    pixels = torch.arange(length, device=start.device, dtype=start.dtype) + 0.5
    # mmdet, too, gives every pixel the middle of a mask whose box has no extent.
    place = torch.where(side > 0, (pixels - start) / side * 2 - 1, 0.0)
    place = ((place + 1) * cells - 1) / 2
    gap = place[..., None] - torch.arange(cells, device=start.device, dtype=start.dtype)
    return (1 - gap.abs()).clamp(min=0)


def threshold_of(model: Any) -> float:
    """Probability from which a detector's pixel belongs to an object.

    Raises:
        UsageError: If the config asks for probabilities, by a negative one.
    """
    threshold = model.roi_head.test_cfg.mask_thr_binary
    if threshold < 0:
        raise UsageError(
            f'--masks images: model.test_cfg.rcnn.mask_thr_binary is {threshold}, '
            'it must be at least 0'
        )
    return threshold


def paste_found(found: dict[str, Tensor], size: Size, threshold: float) -> dict[str, Tensor]:
    """Detections with masks (B, K, height, width) in place of those of regions, empty from `count`.

    Args:
        found: Of a detector with masks, see `mmsmt.deploy.detections.boxes.detections`.
        size: Height and width of the images, in pixels.
        threshold: See `paste_masks`.
    """
    valid = found['labels'] >= 0
    masks = paste_masks(found['masks'], found['boxes'], size, threshold)
    return found | {'masks': masks & valid[..., None, None]}

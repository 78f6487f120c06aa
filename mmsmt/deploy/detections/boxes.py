"""Boxes and scores in tensors of fixed size, where unused places have a score of -1."""

from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NO_BOX = -1.0
Size = tuple[int, int]  # height and width of the images, without padding
MAX_RATIO = abs(log(16 / 1000))  # limit of log ratios of sides, as in mmdet


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the highest `count` scores of (B, N) and their indices, best first.

    If N is less, the remaining places are unused, with indices beyond the last.
    """
    return F.pad(scores, (0, count), value=NO_BOX).topk(count, 1)


def take(x: Tensor, index: Tensor) -> Tensor:
    """Return rows (B, K, D) of (B, N, D); indices beyond the last select the last."""
    index = index.clamp(max=x.shape[1] - 1)
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


def rows(maps: Tensor, channels: int) -> Tensor:
    """Reshape a map (B, A * C, H, W) with A anchors per pixel to rows (B, H * W * A, C)."""
    return maps.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, channels))


def decode(coder: Any, priors: Tensor, deltas: Tensor, size: Size) -> Tensor:
    """Decode boxes (..., 4) from priors and deltas like a `DeltaXYWHBBoxCoder`."""
    deltas = deltas * deltas.new_tensor(coder.stds) + deltas.new_tensor(coder.means)
    centre, sides = (priors[..., :2] + priors[..., 2:]) * 0.5, priors[..., 2:] - priors[..., :2]
    centre = centre + sides * deltas[..., :2]
    sides = sides * deltas[..., 2:].clamp(-MAX_RATIO, MAX_RATIO).exp()
    boxes = torch.cat([centre - sides * 0.5, centre + sides * 0.5], -1)
    return clip(boxes, size) if coder.clip_border else boxes


def clip(boxes: Tensor, size: Size) -> Tensor:
    """Clip boxes (..., 4) to the image."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    sides = (x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height))
    return torch.stack(sides, -1)


def drop_small(boxes: Tensor, scores: Tensor, cfg: Any) -> Tensor:
    """Set the scores of boxes no larger than `min_bbox_size` to -1."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return torch.where((sides > cfg.get('min_bbox_size', -1)).all(-1), scores, NO_BOX)


def detections(boxes: Tensor, scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the outputs of a file: from `count` on, everything is 0, and the label -1.

    Args:
        boxes: (B, K, 4), x1 y1 x2 y2 in pixels of the image.
        scores: (B, K), best first.
        labels: Labels (B, K).
    """
    valid = scores > 0
    return {
        'boxes': torch.where(valid[..., None], boxes, 0.0),
        'scores': torch.where(valid, scores, 0.0),
        'labels': torch.where(valid, labels, -1),
        'count': valid.sum(1),
    }

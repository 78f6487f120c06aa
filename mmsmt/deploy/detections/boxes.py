"""Boxes and scores in tensors of fixed size. A place without a box has a score of -1."""

from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NO_BOX = -1.0
Size = tuple[int, int]  # height and width of the images, without what a host adds to them
MAX_RATIO = abs(log(16 / 1000))  # of the logarithms of sides, as in mmdet


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Highest `count` of scores (B, N) and their indices, best first.

    Where N is less, the rest has no box, and its indices are beyond the last.
    """
    return F.pad(scores, (0, count), value=NO_BOX).topk(count, 1)


def take(x: Tensor, index: Tensor) -> Tensor:
    """Rows (B, K, D) of (B, N, D); an index beyond the last takes the last."""
    index = index.clamp(max=x.shape[1] - 1)
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


def rows(maps: Tensor, channels: int) -> Tensor:
    """Map (B, A * C, H, W) of A anchors a pixel as rows (B, H * W * A, C)."""
    return maps.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, channels))


def decode(coder: Any, priors: Tensor, deltas: Tensor, size: Size) -> Tensor:
    """Boxes (..., 4) that a `DeltaXYWHBBoxCoder` makes of priors and deltas."""
    deltas = deltas * deltas.new_tensor(coder.stds) + deltas.new_tensor(coder.means)
    centre, sides = (priors[..., :2] + priors[..., 2:]) * 0.5, priors[..., 2:] - priors[..., :2]
    centre = centre + sides * deltas[..., :2]
    sides = sides * deltas[..., 2:].clamp(-MAX_RATIO, MAX_RATIO).exp()
    boxes = torch.cat([centre - sides * 0.5, centre + sides * 0.5], -1)
    return clip(boxes, size) if coder.clip_border else boxes


def clip(boxes: Tensor, size: Size) -> Tensor:
    """Boxes (..., 4) inside the image."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    sides = (x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height))
    return torch.stack(sides, -1)


def drop_small(boxes: Tensor, scores: Tensor, cfg: Any) -> Tensor:
    """Scores, of which boxes no larger than `min_bbox_size` lose theirs."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return torch.where((sides > cfg.get('min_bbox_size', -1)).all(-1), scores, NO_BOX)


def detections(boxes: Tensor, scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What a file gives: nothing but 0, and the label -1, from `count` on.

    Args:
        boxes: (B, K, 4), x1 y1 x2 y2 in pixels of the image.
        scores: (B, K), best first.
        labels: (B, K).
    """
    valid = scores > 0
    return {
        'boxes': torch.where(valid[..., None], boxes, 0.0),
        'scores': torch.where(valid, scores, 0.0),
        'labels': torch.where(valid, labels, -1),
        'count': valid.sum(1),
    }

"""Detections of dense heads: RetinaNet, ATSS and others that select boxes as `BaseDenseHead`."""

from typing import Any

import torch
from torch import Tensor

from mmsmt.deploy.detections.boxes import (
    NO_BOX,
    Size,
    best,
    decode,
    detections,
    drop_small,
    rows,
    take,
)
from mmsmt.deploy.detections.support import require_dense, require_methods
from mmsmt.deploy.detections.suppression import suppress


def require(model: Any) -> None:
    """Raise UsageError unless `compute` gives the same predictions as the host."""
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
    from mmdet.models.detectors import SingleStageDetector

    require_methods(model, SingleStageDetector, 'predict')
    require_dense(model.bbox_head, BaseDenseHead)


def compute(model: Any, x: Tensor, size: Size) -> dict[str, Tensor]:
    """Return the detections of normalised images (B, 3, H, W)."""
    head = model.bbox_head
    cfg, classes = head.test_cfg, head.num_classes
    outputs = head(model.extract_feat(x))
    sizes = [level.shape[-2:] for level in outputs[0]]
    priors = head.prior_generator.grid_priors(sizes, device=x.device)
    levels = []
    for logits, deltas, *factors, prior in zip(*outputs, priors):
        scores = rows(logits, classes).sigmoid().flatten(1)
        passing = torch.where(scores > cfg.get('score_thr', 0), scores, NO_BOX)
        scores, index = best(passing, cfg.nms_pre)
        anchor = index // classes
        prior = prior[anchor.clamp(max=prior.shape[0] - 1)]
        boxes = decode(head.bbox_coder, prior, take(rows(deltas, 4), anchor), size)
        for factor in factors:  # centerness
            scores = scores * take(rows(factor, 1).sigmoid(), anchor)[..., 0]
        levels.append((boxes, scores, index % classes))
    boxes, scores, labels = (torch.cat(each, 1) for each in zip(*levels))
    scores = drop_small(boxes, scores, cfg)
    kept = suppress(_apart(boxes, scores, labels), scores, cfg.nms.iou_threshold)
    scores, index = best(torch.where(kept, scores, NO_BOX), cfg.max_per_img)
    labels = take(labels[..., None], index)[..., 0]
    return detections(take(boxes, index), scores, labels)


def _apart(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Shift boxes (B, N, 4) by class so that classes never overlap, as in mmcv."""
    farthest = torch.where(scores > 0, boxes.amax(2), 0.0).amax(1, keepdim=True)
    return boxes + (labels * (farthest + 1))[..., None]

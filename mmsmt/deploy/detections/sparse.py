"""Detections of Sparse R-CNN: learnt boxes with features, refined stage by stage, without NMS."""

from typing import Any

import torch
from torch import Tensor

from mmsmt.deploy.detections.boxes import Size, best, decode, detections, take
from mmsmt.deploy.detections.regions import pool
from mmsmt.deploy.detections.support import (
    refuse,
    require_coder,
    require_extractor,
    require_methods,
    require_numbers,
)


def require(model: Any) -> None:
    """Raise UsageError unless `compute` gives the same predictions as the host."""
    from mmdet.models.dense_heads import EmbeddingRPNHead
    from mmdet.models.detectors import TwoStageDetector
    from mmdet.models.roi_heads import SparseRoIHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead, DIIHead

    require_methods(model, TwoStageDetector, 'predict')
    require_methods(model.rpn_head, EmbeddingRPNHead, 'predict', '_decode_init_proposals')
    roi = model.roi_head
    require_methods(roi, SparseRoIHead, 'predict', 'predict_bbox', '_bbox_forward')
    if roi.with_mask:
        raise refuse('its masks come from features of queries')
    require_numbers(roi.test_cfg, 'max_per_img')
    for extractor, head in zip(roi.bbox_roi_extractor, roi.bbox_head):
        require_extractor(extractor)
        require_methods(head, DIIHead, 'forward')
        require_methods(head, BBoxHead, 'refine_bboxes', 'regress_by_class')
        require_coder(head)
        if not (head.reg_class_agnostic and head.loss_cls.use_sigmoid):
            raise refuse(f'{type(head).__name__} computes boxes or scores in its own way')


def compute(model: Any, x: Tensor, size: Size) -> dict[str, Tensor]:
    """Return the detections of normalised images (B, 3, H, W)."""
    maps = model.extract_feat(x)
    roi, learnt = model.roi_head, model.rpn_head
    batch = x.shape[0]
    height, width = (torch.ones((), dtype=x.dtype, device=x.device) * side for side in size)
    centre, sides = learnt.init_proposal_bboxes.weight.split(2, 1)
    corners = torch.cat([centre - sides / 2, centre + sides / 2], 1)
    boxes = (corners * torch.stack([width, height, width, height])).expand(batch, -1, -1)
    features = learnt.init_proposal_features.weight.expand(batch, -1, -1)
    for extractor, head in zip(roi.bbox_roi_extractor, roi.bbox_head):
        logits, deltas, features, _ = head(pool(extractor, maps, boxes), features)
        boxes = decode(head.bbox_coder, boxes, deltas, size)
    scores, index = best(logits.sigmoid().flatten(1), roi.test_cfg.max_per_img)
    classes = logits.shape[2]
    return detections(take(boxes, index // classes), scores, index % classes)

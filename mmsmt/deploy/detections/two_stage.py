"""Detections of two-stage detectors: Faster, Mask and Cascade R-CNN."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from mmsmt.deploy.detections.boxes import NO_BOX, Size, best, decode, detections, take
from mmsmt.deploy.detections.regions import pool, propose
from mmsmt.deploy.detections.support import (
    refuse,
    require_coder,
    require_dense,
    require_extractor,
    require_methods,
    require_nms,
    require_numbers,
)
from mmsmt.deploy.detections.suppression import suppress


def require(model: Any) -> None:
    """Raise UsageError unless `compute` gives the same predictions as the host."""
    from mmdet.models.dense_heads import RPNHead
    from mmdet.models.detectors import TwoStageDetector
    from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead

    require_methods(model, TwoStageDetector, 'predict')
    require_dense(model.rpn_head, RPNHead)
    roi = model.roi_head
    cascade = isinstance(roi.bbox_head, nn.ModuleList)
    base = CascadeRoIHead if cascade else StandardRoIHead
    methods = ['predict', 'predict_bbox', '_bbox_forward', 'predict_mask', '_mask_forward']
    require_methods(roi, base, *methods, *(['_refine_roi'] if cascade else []))
    if roi.with_shared_head:
        raise refuse('its stages share a head')
    require_numbers(roi.test_cfg, 'max_per_img')
    require_nms(roi.test_cfg)
    for extractor, head in stages(roi.bbox_roi_extractor, roi.bbox_head):
        require_extractor(extractor)
        single = ('predict_by_feat', '_predict_by_feat_single', 'regress_by_class')
        require_methods(head, BBoxHead, *single)
        require_coder(head)
        if head.custom_cls_channels or not (head.with_cls and head.with_reg):
            raise refuse(f'{type(head).__name__} computes boxes or scores in its own way')
    for extractor, head in _mask_stages(roi):
        require_extractor(extractor)
        require_methods(head, FCNMaskHead, 'predict_by_feat', '_predict_by_feat_single')


def stages(extractors: Any, heads: Any) -> list[tuple[Any, Any]]:
    """Return pairs of an extractor and a head; one pair unless the detector is a cascade."""
    if isinstance(heads, nn.ModuleList):
        return list(zip(extractors, heads, strict=True))
    return [(extractors, heads)]


def _mask_stages(roi: Any) -> list[tuple[Any, Any]]:
    return stages(roi.mask_roi_extractor, roi.mask_head) if roi.with_mask else []


def compute(model: Any, x: Tensor, size: Size) -> dict[str, Tensor]:
    """Return the detections of normalised images (B, 3, H, W), with `masks` if it has any."""
    maps = model.extract_feat(x)
    proposals, valid = propose(model.rpn_head, maps, size)
    boxes, scores = _classify(model.roi_head, maps, proposals, size)
    cfg = model.roi_head.test_cfg
    passing = (scores > cfg.score_thr) & (valid > 0)[:, None]
    scores = torch.where(passing, scores, NO_BOX)
    # Classes are treated as more groups.
    kept = suppress(boxes.flatten(0, 1), scores.flatten(0, 1), cfg.nms.iou_threshold)
    scores = torch.where(kept.view_as(scores), scores, NO_BOX)
    classes, count = scores.shape[1:]
    scores, index = best(scores.flatten(1), cfg.max_per_img)
    index = index.clamp(max=classes * count - 1)
    found = detections(take(boxes.flatten(1, 2), index), scores, index // count)
    if model.roi_head.with_mask:
        found['masks'] = _masks(model.roi_head, maps, found)
    return found


def _classify(roi: Any, maps: Sequence[Tensor], boxes: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Return boxes (B, C, P, 4) and scores (B, C, P) of proposals, refined stage by stage."""
    batch, count = boxes.shape[:2]
    pairs = stages(roi.bbox_roi_extractor, roi.bbox_head)
    each_stage = []
    for number, (extractor, head) in enumerate(pairs, 1):
        logits, deltas = head(pool(extractor, maps, boxes))
        logits = logits.view(batch, count, -1)
        deltas = deltas.view(batch, count, -1, 4)
        each_stage.append(logits)
        if number < len(pairs):
            best_class = logits[..., :-1].argmax(-1) if deltas.shape[2] > 1 else None
            boxes = decode(head.bbox_coder, boxes, _of_class(deltas, best_class), size)
    scores = _mean(each_stage).softmax(-1)[..., :-1]
    boxes = decode(head.bbox_coder, boxes[:, :, None], deltas, size)
    boxes = boxes.expand(-1, -1, scores.shape[2], -1)
    return boxes.transpose(1, 2), scores.transpose(1, 2)


def _of_class(deltas: Tensor, label: Tensor | None) -> Tensor:
    """Select deltas (B, P, 4) of a class (B, P) from (B, P, C, 4), or the only ones."""
    if label is None:
        return deltas[:, :, 0]
    return deltas.gather(2, label[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]


def _mean(each: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, each) / len(each)


def _masks(roi: Any, maps: Sequence[Tensor], found: dict[str, Tensor]) -> Tensor:
    """Return masks (B, K, h, w) of regions, 0 to 1, each for its box's class."""
    valid = found['labels'] >= 0
    label = found['labels'].clamp(min=0).reshape(-1, 1, 1, 1)
    each_stage = []
    for extractor, head in _mask_stages(roi):
        masks = head(pool(extractor, maps, found['boxes'])).sigmoid()
        own = torch.zeros_like(label) if head.class_agnostic else label
        each_stage.append(masks.gather(1, own.expand(-1, 1, *masks.shape[2:]))[:, 0])
    masks = _mean(each_stage).unflatten(0, valid.shape)
    return torch.where(valid[..., None, None], masks, 0.0)

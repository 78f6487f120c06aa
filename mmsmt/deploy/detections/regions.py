"""Proposals of an RPN, and region features from the level for their size."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from mmsmt.deploy.detections.boxes import NO_BOX, Size, best, decode, drop_small, rows, take
from mmsmt.deploy.detections.suppression import suppress


def propose(head: Any, maps: Sequence[Tensor], size: Size) -> tuple[Tensor, Tensor]:
    """Return the proposals (B, P, 4) of an `RPNHead` and their scores (B, P)."""
    cfg = head.test_cfg
    logits, deltas = head(maps)
    sizes = [level.shape[-2:] for level in logits]
    priors = head.prior_generator.grid_priors(sizes, device=logits[0].device)
    levels = []
    for logit, delta, prior in zip(logits, deltas, priors):
        scores, index = best(rows(logit, 1).sigmoid()[..., 0], cfg.nms_pre)
        prior = prior[index.clamp(max=prior.shape[0] - 1)]
        boxes = decode(head.bbox_coder, prior, take(rows(delta, 4), index), size)
        levels.append((boxes, drop_small(boxes, scores, cfg)))
    # Levels are treated as more groups, so that boxes need not be shifted.
    boxes, scores = (torch.stack(each, 1) for each in zip(*levels))
    kept = suppress(boxes.flatten(0, 1), scores.flatten(0, 1), cfg.nms.iou_threshold)
    scores = torch.where(kept.view_as(scores), scores, NO_BOX).flatten(1)
    scores, index = best(scores, cfg.max_per_img)
    return take(boxes.flatten(1, 2), index), scores


def pool(extractor: Any, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """Return features (B * P, C, h, w) of boxes (B, P, 4) like a `SingleRoIExtractor`.

    Every level pools all boxes; those of other levels are made empty, at almost no cost.
    """
    batch, count = boxes.shape[:2]
    image = torch.arange(batch, device=boxes.device, dtype=boxes.dtype)
    image = image[:, None].expand(batch, count).reshape(-1, 1)
    regions = torch.cat([image, boxes.reshape(-1, 4)], 1)
    level = extractor.map_roi_levels(regions, extractor.num_inputs)
    pooled = []
    for i, layer in enumerate(extractor.roi_layers):
        own = (level == i)[:, None]
        features = torch.ops.torchvision.roi_align(
            maps[i],
            torch.cat([image, regions[:, 1:] * own], 1),
            layer.spatial_scale,
            *layer.output_size,
            layer.sampling_ratio,
            layer.aligned,
        )
        pooled.append(torch.where(own[..., None, None], features, 0.0))
    return reduce(torch.add, pooled)

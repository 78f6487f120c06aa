"""Checks for detectors whose boxes cannot be exported, made before any work."""

from typing import Any

from mmsmt.errors import UsageError

INSTEAD = '--maps exports the maps of its head or neck'


def refuse(reason: str) -> UsageError:
    """Return the error for a detector that cannot be exported."""
    return UsageError(f'boxes of this detector cannot be exported: {reason}; {INSTEAD}')


def require_methods(part: Any, base: type, *methods: str) -> None:
    """Require that a part uses the methods of one of mmdet's classes.

    Raises:
        UsageError: If it overrides one of them.
    """
    for method in methods:
        if getattr(type(part), method, None) is not getattr(base, method):
            name = type(part).__name__
            raise refuse(f'{name}.{method} is not that of {base.__name__}')


def require_coder(head: Any) -> None:
    """Require boxes encoded as deltas of priors."""
    from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

    coder = head.bbox_coder
    if type(coder) is not DeltaXYWHBBoxCoder or coder.add_ctr_clamp:
        raise refuse(f'its box coder is {type(coder).__name__}')


def require_dense(head: Any, base: type) -> None:
    """Require a dense head that selects boxes like `base`, by sigmoid scores."""
    require_methods(
        *(head, base, 'predict', 'predict_by_feat', '_predict_by_feat_single'),
        '_bbox_post_process',
    )
    if not head.use_sigmoid_cls or getattr(head.loss_cls, 'custom_cls_channels', False):
        raise refuse(f'scores of {type(head).__name__} are not sigmoids')
    require_coder(head)
    require_numbers(head.test_cfg, 'nms_pre', 'max_per_img')
    require_nms(head.test_cfg)


def require_nms(cfg: Any) -> None:
    """Require plain non-maximum suppression."""
    nms = dict(cfg.nms)
    if nms.pop('type', 'nms') != 'nms' or set(nms) != {'iou_threshold'}:
        raise refuse(f'test_cfg.nms is {dict(cfg.nms)}')


def require_numbers(cfg: Any, *names: str) -> None:
    """Require positive limits, which determine the sizes of tensors."""
    for name in names:
        if (cfg or {}).get(name, -1) < 1:
            raise refuse(f'test_cfg.{name} must be positive')


def require_extractor(extractor: Any) -> None:
    """Require region features from the level for their size."""
    from mmcv.ops import RoIAlign
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    require_methods(extractor, SingleRoIExtractor, 'forward', 'map_roi_levels')
    for layer in extractor.roi_layers:
        if type(layer) is not RoIAlign or layer.pool_mode != 'avg':
            raise refuse(f'its regions are pooled by {layer}')

"""Which post-processing a detector of mmdet needs."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import Tensor

from mmsmt.deploy.detections import dense, dino, sparse, two_stage
from mmsmt.deploy.detections.boxes import Size
from mmsmt.errors import UsageError

Compute = Callable[[Any, Tensor, Size], dict[str, Tensor]]


def compute_of(model: Any) -> Compute:
    """What gives a detector's `boxes`, `scores`, `labels`, `count`, and `masks` if it has them.

    Raises:
        UsageError: If its boxes cannot be exported.
    """
    family = _family_of(model)
    family.require(model)
    return family.compute


def limit_detections(model: Any, count: int) -> None:
    """Let a detector find at most `count` objects in an image.

    Raises:
        UsageError: If that is not positive, or if the model is no detector.
    """
    if count < 1:
        raise UsageError(f'--max-per-img must be positive, got {count}')
    head: Any = getattr(model, 'roi_head', None) or getattr(model, 'bbox_head', None)
    if getattr(head, 'test_cfg', None) is None:
        raise UsageError('--max-per-img: this model is no detector with a test_cfg')
    head.test_cfg.max_per_img = count


def _family_of(model: Any) -> ModuleType:
    if hasattr(model, 'roi_head'):
        return sparse if hasattr(model.rpn_head, 'init_proposal_bboxes') else two_stage
    return dino if hasattr(model, 'decoder') else dense

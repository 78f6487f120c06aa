"""Choice of the post-processing for a detector of mmdet."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from torch import Tensor

from mmsmt.deploy.detections import dense, dino, sparse, two_stage
from mmsmt.deploy.detections.boxes import Size
from mmsmt.errors import UsageError

Compute = Callable[[Any, Tensor, Size], dict[str, Tensor]]


def compute_of(model: Any) -> Compute:
    """Return the function for `boxes`, `scores`, `labels`, `count`, and `masks` if it has any.

    Raises:
        UsageError: If the detector's boxes cannot be exported.
    """
    family = _family_of(model)
    family.require(model)
    return family.compute


def limit_detections(model: Any, count: int) -> None:
    """Limit a detector to `count` objects per image.

    Raises:
        UsageError: If it is not positive, or the model is not a detector.
    """
    if count < 1:
        raise UsageError(f'--max-per-img must be positive, got {count}')
    head: Any = getattr(model, 'roi_head', None) or getattr(model, 'bbox_head', None)
    if getattr(head, 'test_cfg', None) is None:
        raise UsageError('--max-per-img: this model is not a detector with a test_cfg')
    head.test_cfg.max_per_img = count


def _family_of(model: Any) -> ModuleType:
    if hasattr(model, 'roi_head'):
        return sparse if hasattr(model.rpn_head, 'init_proposal_bboxes') else two_stage
    return dino if hasattr(model, 'decoder') else dense

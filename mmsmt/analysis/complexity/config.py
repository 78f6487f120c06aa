"""Complexity of a config's model at the image size that papers use for its task."""

from mmengine.config import Config
from torch import nn

from mmsmt.analysis.complexity.counter import Complexity, count_complexity
from mmsmt.hosts.meta_device import build_on_meta
from mmsmt.hosts.model import backbone_of

# Height and width by host. Papers on backbones count detectors at 1280 x 800 and segmenters at
# 2048 x 512, the size of resized test images.
SIZES = {'mmdet': (800, 1280), 'mmseg': (512, 2048)}
IMAGENET = 224


def usual_size(cfg: Config) -> tuple[int, int]:
    """Return height and width for which a config's model is usually counted.

    For classifiers, the training crop, or 224 x 224 if there is none.
    """
    if cfg.get('default_scope') in SIZES:
        return SIZES[cfg.default_scope]
    pipeline = cfg.get('train_dataloader', {}).get('dataset', {}).get('pipeline', [])
    crops = [step['scale'] for step in pipeline if step['type'] == 'RandomResizedCrop']
    crop = crops[0] if crops else IMAGENET
    return (crop, crop) if isinstance(crop, int) else tuple(crop)


def count_config(
    cfg: Config, size: tuple[int, int] | None = None
) -> tuple[Complexity, tuple[int, int]]:
    """Count a config's model, or only its backbone if there is no more; no weights are loaded.

    Args:
        cfg: A training config, or one of a backbone from `read_config`.
        size: Height and width of the image, the usual ones by default.

    Returns:
        The complexity for one image, and the image size.
    """
    height, width = size or usual_size(cfg)
    model = build_on_meta(cfg)
    counted = backbone_of(model) if isinstance(model, nn.ModuleDict) else model
    return count_complexity(counted, (3, height, width)), (height, width)

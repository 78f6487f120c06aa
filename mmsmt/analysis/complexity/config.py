"""Counts of a config's model, at the size that papers count its task at."""

from mmengine.config import Config
from torch import nn

from mmsmt.analysis.complexity.counter import Complexity, count_complexity
from mmsmt.hosts.meta_device import build_on_meta
from mmsmt.hosts.model import backbone_of

# Height and width, by host. Papers on backbones count detectors at 1280 x 800 and segmenters at
# 2048 x 512, the size that images are resized into for a test.
SIZES = {'mmdet': (800, 1280), 'mmseg': (512, 2048)}
IMAGENET = 224


def usual_size(cfg: Config) -> tuple[int, int]:
    """Height and width at which a config's model is usually counted.

    For classifiers the crop that training takes of its images, else 224 x 224.
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
    """Count a config's model, or its backbone where there is no more; no weights are loaded.

    Args:
        cfg: A training config, or one of a backbone as `read_config` gives it.
        size: Height and width of the image, by default the usual one.

    Returns:
        Counts for one image, and the size that they are for.
    """
    height, width = size or usual_size(cfg)
    model = build_on_meta(cfg)
    counted = backbone_of(model) if isinstance(model, nn.ModuleDict) else model
    return count_complexity(counted, (3, height, width)), (height, width)

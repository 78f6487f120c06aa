"""Small detectors and segmenters from the hosts' own configs, with a batch for each.

A quarter of the channels, ten classes, few proposals, random weights, all trainable.
"""

import random
from importlib import import_module
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope

CLASSES = 10
NARROW = 4
SIZE = 128  # of the images
CONFIGS = {
    'mask_rcnn': 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade_mask_rcnn': 'mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'retinanet': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'dino': 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
    'dcnv1_faster_rcnn': 'mmdet::dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py',
    'dcnv2_mask_rcnn': 'mmdet::dcnv2/mask-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py',
    'atss_dyhead': 'mmdet::dyhead/atss_r50_fpn_dyhead_1x_coco.py',
    'upernet': 'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py',
    'psanet': 'mmseg::psanet/psanet_r50-d8_4xb4-80k_ade20k-512x512.py',
    # Replaced because compiled mmcv has no CPU form of it in training or prediction:
    'carafe_faster_rcnn': 'mmdet::carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py',
    'ga_retinanet': 'mmdet::guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py',
    'ga_faster_rcnn': 'mmdet::guided_anchoring/ga-faster-rcnn_r50-caffe_fpn_1x_coco.py',
    'dpool_faster_rcnn': 'mmdet::dcn/faster-rcnn_r50_fpn_dpool_1x_coco.py',
    'mdpool_faster_rcnn': 'mmdet::dcnv2/faster-rcnn_r50_fpn_mdpool_1x_coco.py',
}
SETTINGS: dict[str, Any] = dict(
    num_classes=CLASSES,
    frozen_stages=-1,
    pretrained=None,
    num_layers=2,
    num_queries=30,
    num_dn_queries=10,
    num=64,  # of a sampler
    nms_pre=100,
    nms_post=60,
    max_per_img=60,
    score_thr=0.0,
)
# Values that depend on the image size, and widths that no config can reduce.
CHANGES: dict[str, dict[str, Any]] = {
    'dino': {'neck.out_channels': 256},
    'upernet': {'data_preprocessor.size': (SIZE, SIZE)},
    'psanet': {'data_preprocessor.size': (SIZE, SIZE), 'decode_head.mask_size': (9, 9)},
}


def narrowed(config: Any, key: str = '') -> Any:
    """Return the config with small sizes."""
    if isinstance(config, dict):
        small = {name: narrowed(value, name) for name, value in config.items()}
        if str(small.get('type', '')).startswith('ResNet'):
            small.update(base_channels=16, stem_channels=16, init_cfg=None)
        if 'mask_size' in small and 'assigner' in small:
            small['soft_mask_target'] = True  # for pixels of exactly one half rounding would decide
        return small
    if key.endswith('channels'):
        wide = config if isinstance(config, list | tuple) else [config]
        narrow = [width // NARROW for width in wide]
        return narrow if isinstance(config, list | tuple) else narrow[0]
    if isinstance(config, list | tuple):
        return type(config)(narrowed(value) for value in config)
    return 'BN' if config == 'SyncBN' else SETTINGS.get(key, config)


def seed(number: int = 0) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def build(name: str, **changes: Any) -> BaseModel:
    """Build a model whose weights depend only on its name and the changes of its config."""
    host = CONFIGS[name].split('::')[0]
    import_module(f'{host}.utils').register_all_modules(init_default_scope=False)
    init_default_scope(host)
    config = Config(narrowed(get_config(CONFIGS[name]).model.to_dict()))
    config.merge_from_dict(CHANGES.get(name, {}) | changes)
    seed()
    model = MODELS.build(config)
    model.init_weights()
    for part, parameter in model.named_parameters():
        if part.endswith('bn3.weight'):
            parameter.data.fill_(0.2)  # 0 would leave ResNet's branches without gradient
        if part.endswith(('offset.bias', 'offsets.bias')):
            parameter.data += 0.3  # away from pixel centres, where rounding decides on slopes
    return model


def batch(name: str) -> dict[str, Any]:
    """Return noise images with random boxes and masks, or random pixel labels."""
    if CONFIGS[name].startswith('mmdet'):
        from mmdet.testing import demo_mm_inputs

        shapes = [(3, SIZE, SIZE), (3, SIZE, SIZE * 3 // 4)]
        return demo_mm_inputs(2, shapes, num_items=[4, 3], num_classes=CLASSES, with_mask=True)
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    seed()
    images, samples = list(torch.randint(255, (4, 3, SIZE, SIZE), dtype=torch.uint8)), []
    for _ in images:
        sample = SegDataSample(metainfo=dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE)))
        sample.gt_sem_seg = PixelData(data=torch.randint(CLASSES, (1, SIZE, SIZE)))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)

"""A backbone of this suite in configs of the hosts: what follows it fits, or the reason is said."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.graft import graft
from mmsmt.hosts.meta_device import build_on_meta

BACKBONE = dict(type='mmsmt.SMT', arch='pico')
CHANNELS = [32, 64, 128, 256]


def grafted(name: str) -> Config:
    return graft(read_config(name), BACKBONE)


# Config, stages that are returned, where channels stand, and which.
FITTING = [
    ('mmdet::tood/tood_r50_fpn_1x_coco.py', (0, 1, 2, 3), 'neck.in_channels', CHANNELS),
    ('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py', (1, 2, 3), 'neck.in_channels', CHANNELS[1:]),
    (
        'mmdet::yolo/yolov3_d53_8xb8-ms-416-273e_coco.py',
        (1, 2, 3),
        'neck.in_channels',
        [256, 128, 64],
    ),
    ('mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py', (1, 2, 3), 'neck.in_channels', CHANNELS[1:]),
    ('mmdet::yolof/yolof_r50-c5_8xb8-1x_coco.py', (3,), 'neck.in_channels', 256),
    ('mmdet::dyhead/atss_r50_fpn_dyhead_1x_coco.py', (0, 1, 2, 3), 'neck.0.in_channels', CHANNELS),
    ('mmdet::ssd/ssd300_coco.py', (1, 2), 'bbox_head.in_channels', (64, 128, 512, 256, 256, 256)),
    (
        'mmdet::maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
        (0, 1, 2, 3),
        'panoptic_head.in_channels',
        CHANNELS,
    ),
    (
        'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        (0, 1, 2, 3),
        'auxiliary_head.in_channels',
        128,
    ),
    (
        'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py',
        (0, 1, 2, 3),
        'decode_head.c1_in_channels',
        32,
    ),
    (
        'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
        (0, 1, 2, 3),
        'decode_head.in_channels',
        CHANNELS,
    ),
    (
        'mmseg::ocrnet/ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024.py',
        (0, 1, 2, 3),
        'decode_head.0.in_channels',
        128,
    ),
    (
        'mmseg::knet/knet-s3_r50-d8_upernet_8xb2-adamw-80k_ade20k-512x512.py',
        (0, 1, 2, 3),
        'decode_head.kernel_generate_head.in_channels',
        CHANNELS,
    ),
    (
        'mmseg::fastfcn/fastfcn_r50-d32_jpu_psp_4xb2-80k_cityscapes-512x1024.py',
        (1, 2, 3),
        'auxiliary_head.in_channels',
        128,
    ),
    ('mmseg::beit/beit-base_upernet_8xb2-160k_ade20k-640x640.py', (0, 1, 2, 3), 'neck', None),
    ('mmpretrain::resnet/resnet50_8xb32_in1k.py', (3,), 'head.in_channels', 256),
]


@pytest.mark.slow
@pytest.mark.parametrize('name, stages, key, channels', FITTING, ids=[n[0] for n in FITTING])
def test_channels_follow_the_backbone(name: str, stages: tuple, key: str, channels) -> None:
    cfg = grafted(name)
    assert cfg.model.backbone.out_indices == stages and not cfg.model.get('pretrained')
    node = cfg.model
    for part in key.split('.'):
        node = node[int(part)] if part.isdigit() else node[part]
    assert node == channels
    assert type(build_on_meta(cfg).backbone).__name__ == 'SMT'


@pytest.mark.parametrize(
    'name, why',
    [
        (
            'mmdet::cornernet/cornernet_hourglass104_10xb5-crop511-210e-mstest_coco.py',
            'of strides 4, 4',
        ),
        ('mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py', 'shared_head is the last stage'),
        ('mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py', 'strides 16, 8, 4, 2, 1'),
        ('mmseg::san/san-vit-b16_coco-stuff164k-640x640.py', 'has no `backbone`'),
        ('mmpretrain::vision_transformer/vit-base-p16_64xb64_in1k.py', 'returns no maps'),
    ],
)
def test_what_cannot_be_grafted_says_why(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        grafted(name)


def test_the_config_given_is_not_changed() -> None:
    cfg = read_config('mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py')
    before = cfg.to_dict()
    graft(cfg, BACKBONE)
    assert cfg.to_dict() == before


@pytest.mark.slow
def test_a_grafted_segmenter_computes_and_has_gradients_everywhere() -> None:
    cfg = grafted('mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py')
    model = MODELS.build(cfg.model).train()
    images = torch.randn(2, 3, 64, 64)
    features = model.extract_feat(images)
    loss = model.decode_head(features).mean() + model.auxiliary_head(features).mean()
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)

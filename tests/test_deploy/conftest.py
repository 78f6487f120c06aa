"""Small networks of the three hosts as configs with checkpoints, and images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from torch import nn

BACKBONE = """dict(
    type='mmsmt.SMT', embed_dims=(8, 16, 32, 48), depths=(1, 1, 1, 1), mlp_ratios=(2, 2, 2, 2),
    msa_heads=(1, 2, 4, 4), arch='pico', {more})"""
# Every channel its own, so that a wrong order is seen.
MEAN, STD = [110.0, 120.0, 90.0], [50.0, 60.0, 70.0]
CONFIGS = {
    'classifier': """
default_scope = 'mmpretrain'
data_preprocessor = dict(mean={mean}, std={std}, to_rgb=True)
model = dict(
    type='ImageClassifier',
    backbone={one},
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=48),
)
""",
    'segmenter': """
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', mean={mean}, std={std}),
    backbone={all},
    decode_head=dict(
        type='UPerHead', in_channels=[8, 16, 32, 48], in_index=[0, 1, 2, 3], channels=8,
        pool_scales=(1, 2, 3, 6), num_classes=3, align_corners=False, norm_cfg=dict(type='BN'),
    ),
    test_cfg=dict(mode='slide', crop_size=(48, 48), stride=(32, 32)),
)
""",
    'binary segmenter': """
_base_ = 'segmenter.py'
model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.45))
""",
    'segmenter of 300': """
_base_ = 'segmenter.py'
model = dict(decode_head=dict(num_classes=300))
""",
    'detector': """
default_scope = 'mmdet'
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean={mean}, std={std}, bgr_to_rgb=True, pad_size_divisor=32),
    backbone={all},
    neck=dict(type='FPN', in_channels=[8, 16, 32, 48], out_channels=8, num_outs=4),
    bbox_head=dict(
        type='RetinaHead', num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1,
        anchor_generator=dict(type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1,
                              ratios=[1.0], strides=[4, 8, 16, 32])),
)
""",
    'backbone': 'backbone = {all}\n',
}


def randomize(model: nn.Module) -> None:
    """Far from the initial values, at which much of what is folded is nought or one."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.normal_(norm.bias)


@pytest.fixture
def network(tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """Write a network of a kind; give config and checkpoint."""

    def write(kind: str) -> tuple[str, str]:
        if kind.split()[-1] != kind and 'segmenter' in kind:
            write('segmenter')  # on which it is based
        config, weights = tmp_path / f'{kind}.py', tmp_path / f'{kind}.pth'
        forms = {'one': BACKBONE.format(more='out_indices=(3,)'), 'all': BACKBONE.format(more='')}
        config.write_text(CONFIGS[kind].format(mean=MEAN, std=STD, **forms))
        cfg = Config.fromfile(config)
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        torch.manual_seed(0)
        model = MODELS.build(cfg.model if 'model' in cfg else cfg.backbone)
        randomize(model)
        torch.save(model.state_dict(), weights)
        return str(config), str(weights)

    return write


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three images of one odd size."""
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
        coarse.resize((90, 70)).save(folder / f'{index}.png')
    return folder

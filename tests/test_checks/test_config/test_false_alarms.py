"""What looks wrong and is right; next to each, the fault that it resembles."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmsmt.checks.config import check_config

ALBU = """
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
steps = [
    dict(type='LoadImageFromFile'),
    dict(type='Albu', transforms=[dict(type='ShiftScaleRotate', p=0.5)], {}),
]
train_dataloader = dict(dataset=dict(pipeline=steps))
"""
PANOPTIC = """
_base_ = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'
model = dict(roi_head=dict(bbox_head=dict(num_classes={})))
"""
STDC = """
_base_ = 'mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024.py'
heads = _base_.model.auxiliary_head
heads[{}].num_classes = 2
model = dict(auxiliary_head=heads)
"""
SYNC = """
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
norm = dict(type='MMSyncBN')
model = dict(roi_head=dict(bbox_head=dict(
    type='Shared4Conv1FCBBoxHead', norm_cfg=norm, conv_out_channels={})))
"""
PVT = """
_base_ = 'mmdet::pvt/retinanet_pvt-t_fpn_1x_coco.py'
model = dict(backbone=dict(init_cfg=dict({})))
"""
DEPTH = """
_base_ = 'mmseg::{}'
model = dict(data_preprocessor=dict(seg_pad_val=0))
"""


@pytest.mark.parametrize(
    ('right', 'wrong', 'key'),
    [
        # albumentations has its own transforms; the arguments of `Albu` are mmdet's.
        (ALBU.format('keymap={}'), ALBU.format('keymp={}'), '.pipeline[1].keymp'),
        # Heads of objects do not see the 53 classes of stuff.
        (PANOPTIC.format(80), PANOPTIC.format(133), 'model.roi_head.bbox_head.num_classes'),
        # The last auxiliary head tells boundaries from the rest.
        (STDC.format(2), STDC.format(1), 'model.auxiliary_head[1].num_classes'),
        # mmcv's SyncBN asks how many processes there are.
        (SYNC.format(256), SYNC.format("'x'"), 'model.roi_head.bbox_head'),
        # PVT reads its `init_cfg` itself.
        (PVT.format("checkpoint='https://x.org/y.pth'"), PVT.format("type='Pretraind'"), '.type'),
        # Depth has no label to be ignored.
        (
            DEPTH.format('vpd/vpd_sd_4xb8-25k_nyu-480x480.py'),
            DEPTH.format('fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'),
            'model.data_preprocessor.seg_pad_val',
        ),
    ],
    ids=['albumentations', 'panoptic', 'boundaries', 'sync_bn', 'init_cfg', 'depth'],
)
def test_right_and_wrong(lint: Callable, right: str, wrong: str, key: str) -> None:
    assert [f for f in lint('', right) if not f.needs_package] == []
    assert [f.key for f in lint('', wrong) if key in f.key]


def test_nothing_is_known_of_the_arguments_of_a_guess(lint: Callable) -> None:
    text = "model = dict(backbone=dict(_delete_=True, type='SwinTransformr', depth=50))"
    (finding,) = lint('digits/retinanet_smt_pico.py', text)
    assert finding.key == 'model.backbone.type' and 'SwinTransformer' in finding.right


def test_a_model_that_needs_a_package_is_not_looked_into(lint: Callable) -> None:
    found = lint('', "_base_ = 'mmdet::misc/d2_faster-rcnn_r50-caffe_fpn_ms-90k_coco.py'")
    assert [(f.key, f.needs_package) for f in found] == [('model.type', True)]
    assert 'Detectron2' in found[0].wrong


def test_a_class_that_is_not_registered(lint: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """mmpretrain registers its multi-modal classes only where transformers is installed."""
    where = 'mmpretrain.models.multimodal.clip.clip_transformer'
    monkeypatch.setattr('mmsmt.checks.config.arguments.find_types', lambda *_: [])
    text = "train_dataloader = dict(dataset=dict(type='CLIPTransformer'))"
    found = {f.key: f for f in lint('digits/cls_smt_pico.py', text)}
    finding = found['train_dataloader.dataset.type']
    assert finding.needs_package and finding.right.startswith(f'it is defined in {where}')


def test_teachers_are_not_downloaded(lint: Callable) -> None:
    assert lint('', "_base_ = 'mmdet::lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py'") == []


SCOPE = """
model = dict(type='ImageClassifier', backbone=dict(type='ResNet', {}=50))
{}
"""


def test_a_scope_that_is_not_said(lint: Callable, tmp_path: Path) -> None:
    """A config that trains needs it; one of a model alone is read by tools of one host."""

    def keys(text: str) -> list[tuple[str, bool]]:
        lint('', text)
        return [(f.key, f.note) for f in check_config(tmp_path / 'broken.py')]

    assert keys(SCOPE.format('depth', '')) == [('default_scope', True)]
    loader = "val_dataloader = dict(dataset=dict(type='ImageNet'))"
    assert ('default_scope', False) in keys(SCOPE.format('depth', loader))
    assert ('model.backbone.dpth', False) in keys(SCOPE.format('dpth', ''))

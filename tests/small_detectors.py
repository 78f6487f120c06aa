"""Small detectors of every family with heads that find something, as configs with checkpoints."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

HEADER = """
_base_ = 'mmdet::{base}'
channels = 64
backbone = dict(
    _delete_=True, type='mmsmt.SMT', embed_dims=(8, 16, 32, 48), depths=(1, 1, 1, 1),
    mlp_ratios=(2, 2, 2, 2), msa_heads=(1, 2, 4, 4), arch='pico')
preprocessor = dict(mean=[110.0, 120.0, 90.0], std=[50.0, 60.0, 70.0], pad_size_divisor=32)
neck = dict(in_channels=[8, 16, 32, 48], out_channels=channels)
"""
DENSE = """
model = dict(
    data_preprocessor=preprocessor, backbone=backbone, neck=neck,
    bbox_head=dict(
        num_classes=3, in_channels=channels, feat_channels=channels, stacked_convs=1,
        anchor_generator=dict({anchors})),
    test_cfg=dict(score_thr=0.3, nms_pre=60, max_per_img=100, min_bbox_size=4))
"""
REGIONS = """
anchors = dict(scales=[4], ratios=[1.0, 2.0], strides=[4, 8, 16, 32, 64])
rpn = dict(in_channels=channels, feat_channels=channels, anchor_generator=anchors)
extractor = dict(out_channels=channels, finest_scale=12)
box = dict(in_channels=channels, fc_out_channels=32, num_classes=3)
masks = dict(num_convs=1, in_channels=channels, conv_out_channels=channels, num_classes=3)
limits = dict(
    rpn=dict(nms_pre=60, max_per_img=120, min_bbox_size=4),
    rcnn=dict(score_thr=0.28, max_per_img=200))
"""
CONFIGS = {
    'retinanet': ('_base_/models/retinanet_r50_fpn.py', DENSE.format(
        anchors='octave_base_scale=4, scales_per_octave=1')),
    'atss': ('atss/atss_r50_fpn_1x_coco.py', DENSE.format(anchors='octave_base_scale=4')),
    'mask_rcnn': ('_base_/models/mask-rcnn_r50_fpn.py', REGIONS + """
model = dict(
    data_preprocessor=preprocessor, backbone=backbone, neck=neck, rpn_head=rpn,
    roi_head=dict(
        bbox_roi_extractor=extractor, bbox_head=box, mask_roi_extractor=extractor,
        mask_head=masks),
    test_cfg=limits)
"""),
    'cascade_mask_rcnn': ('_base_/models/cascade-mask-rcnn_r50_fpn.py', REGIONS + """
# Of every kind: boxes of a class and for all classes.
heads = [
    dict(head, reg_class_agnostic=agnostic, **box)
    for head, agnostic in zip(_base_.model.roi_head.bbox_head, (True, False, False))]
model = dict(
    data_preprocessor=preprocessor, backbone=backbone, neck=neck, rpn_head=rpn,
    roi_head=dict(
        bbox_roi_extractor=extractor, bbox_head=heads, mask_roi_extractor=extractor,
        mask_head=masks),
    test_cfg=limits)
"""),
    'sparse_rcnn': ('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py', """
heads = [
    dict(
        head, num_classes=3, in_channels=channels, feedforward_channels=96, num_heads=4,
        dynamic_conv_cfg=dict(
            head.dynamic_conv_cfg, in_channels=channels, feat_channels=16, out_channels=channels))
    for head in _base_.model.roi_head.bbox_head[:2]]
model = dict(
    data_preprocessor=preprocessor, backbone=backbone, neck=neck,
    rpn_head=dict(num_proposals=30, proposal_feature_channel=channels),
    roi_head=dict(
        num_stages=2, stage_loss_weights=[1, 1], proposal_feature_channel=channels,
        bbox_roi_extractor=dict(out_channels=channels, finest_scale=12), bbox_head=heads),
    test_cfg=dict(rcnn=dict(max_per_img=20)))
"""),
    'dino': ('dino/dino-4scale_r50_8xb2-12e_coco.py', """
channels = 256  # which its decoder counts on
attention = dict(embed_dims=channels, num_heads=4, num_levels=2, dropout=0.0)
forward = dict(embed_dims=channels, feedforward_channels=96, ffn_drop=0.0)
model = dict(
    num_queries=10,
    data_preprocessor=preprocessor,
    backbone=dict(backbone, out_indices=(2, 3)),
    neck=dict(in_channels=[32, 48], out_channels=channels, num_outs=2),
    encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=forward)),
    decoder=dict(num_layers=2, layer_cfg=dict(
        self_attn_cfg=dict(embed_dims=channels, num_heads=4), cross_attn_cfg=attention,
        ffn_cfg=forward)),
    positional_encoding=dict(num_feats=channels // 2),
    num_feature_levels=2,
    bbox_head=dict(num_classes=3, embed_dims=channels),
    test_cfg=dict(max_per_img=20))
"""),
}  # fmt: skip


# Not so far that scores are equal, in which case any may come first.
STD = dict(retina_cls=0.04, atss_cls=0.2, rpn_cls=0.2, fc_cls=0.8, retina_reg=0.02)


def enliven(model: nn.Module) -> None:
    """Give the last layers of heads spread results, as if they had learnt something."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
        if not isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            continue
        last = name.rpartition('.')[2]
        if last.endswith(('_cls', '_centerness')):
            nn.init.normal_(layer.weight, std=STD.get(last, 0.1))
            nn.init.constant_(layer.bias, -1.0)
            if last == 'fc_cls':  # not most of all the background
                nn.init.constant_(layer.bias[:-1], 0.0)
        elif last in ('sampling_offsets', 'attention_weights') or 'reg_branches' in name:
            nn.init.normal_(layer.weight, std=0.1)
        elif last == 'init_proposal_bboxes':
            nn.init.uniform_(layer.weight, 0.2, 0.8)
        elif last.endswith('_reg'):
            nn.init.normal_(layer.weight, std=STD.get(last, 0.1))
    if hasattr(model, 'level_embed'):
        nn.init.normal_(model.level_embed)


def write_detector(folder: Path, family: str) -> tuple[str, str]:
    """Write a detector of a family; give config and checkpoint."""
    config, weights = folder / f'{family}.py', folder / f'{family}.pth'
    base, text = CONFIGS[family]
    config.write_text(HEADER.format(base=base) + text)
    cfg = Config.fromfile(config)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    enliven(model)
    torch.save(model.state_dict(), weights)
    return str(config), str(weights)

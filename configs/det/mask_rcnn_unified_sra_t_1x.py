_base_ = ['../_base_/backbones/unified_sra_t.py', '_base_/unified_mask_rcnn_1x.py']
backbone = dict(**_base_.backbone, init_cfg=_base_.pretrained)
model = dict(
    backbone=dict(**_base_.detection, **backbone, drop_path_rate=0.2),
    neck=dict(in_channels=_base_.backbone_channels),
)

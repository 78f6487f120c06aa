_base_ = ['../_base_/backbones/sg_former_s.py', '_base_/fpn.py', '_base_/ade20k.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, init_cfg=_base_.pretrained),
    neck=dict(in_channels=_base_.backbone_channels),
)

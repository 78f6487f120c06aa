_base_ = ['../_base_/backbones/sg_former_b.py', '_base_/mask_rcnn.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, init_cfg=_base_.pretrained),
    neck=dict(in_channels=_base_.backbone_channels),
)

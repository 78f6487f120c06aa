_base_ = ['../_base_/backbones/smt_s.py', '_base_/sparse_rcnn.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, init_cfg=_base_.pretrained),
    neck=dict(in_channels=_base_.backbone_channels),
)

_base_ = ['../_base_/backbones/sg_former_b.py', '_base_/mask_rcnn.py', '_base_/ms_3x.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, init_cfg=_base_.pretrained),
    neck=dict(in_channels=_base_.backbone_channels),
)
train_cfg = dict(max_epochs=_base_.max_epochs)
param_scheduler = [_base_.param_scheduler[0], _base_.steps]
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:2], *_base_.multi_scale]))

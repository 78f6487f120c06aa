_base_ = ['../_base_/backbones/sg_former_s.py', '_base_/upernet.py', '_base_/ade20k.py']
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, init_cfg=_base_.pretrained),
    decode_head=dict(in_channels=_base_.backbone_channels),
    auxiliary_head=dict(in_channels=_base_.backbone_channels[2]),
)

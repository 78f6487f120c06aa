_base_ = [
    '../_base_/backbones/sg_former_m.py',
    '../_base_/hooks.py',
    '_base_/in1k.py',
    '_base_/sg_former_schedule.py',
]
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,)),
    head=dict(in_channels=_base_.backbone_channels[-1]),
    train_cfg=dict(augments=_base_.augments),
)
custom_hooks = [*_base_.custom_hooks, _base_.averaging]

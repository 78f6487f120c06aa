_base_ = [
    '../_base_/backbones/unified_sra_micro.py',
    '_base_/in1k.py',
    '_base_/unified_schedule.py',
]
channels = _base_.backbone_channels[-1]
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,)),
    neck=[dict(type='mmsmt.ConvHead', in_channels=channels), _base_.model.neck],
    head=dict(in_channels=channels * 3 // 2),
    train_cfg=dict(augments=_base_.augments),
)
custom_hooks = [*_base_.custom_hooks, _base_.averaging]

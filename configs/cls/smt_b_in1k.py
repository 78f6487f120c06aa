_base_ = [
    '../_base_/backbones/smt_b.py',
    '../_base_/hooks.py',
    '_base_/in1k.py',
    '_base_/smt_schedule.py',
]
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,)),
    head=dict(in_channels=_base_.backbone_channels[-1]),
)

_base_ = ['../_base_/backbones/unified_sra_pico.py', '_base_/classifier.py']
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,)),
    head=dict(in_channels=_base_.backbone_channels[-1]),
)

_base_ = ['../_base_/backbones/unified_halo_t.py', '_base_/unified.py']
channels = _base_.backbone_channels[-1]
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,)),
    neck=[dict(type='mmsmt.ConvHead', in_channels=channels), _base_.model.neck],
    head=dict(in_channels=channels * 3 // 2),
)
optim_wrapper = dict(paramwise_cfg=_base_.decayed_scales)

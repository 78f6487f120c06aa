_base_ = [
    '../_base_/backbones/smt_s.py',
    '_base_/rtmdet.py',
    'mmdet::rtmdet/rtmdet-ins_l_8xb32-300e_coco.py',
]
model = dict(
    data_preprocessor=_base_.rgb,
    backbone=dict(
        _delete_=True, **_base_.backbone, out_indices=(1, 2, 3), init_cfg=_base_.pretrained
    ),
    neck=dict(in_channels=_base_.backbone_channels[1:]),
)
optim_wrapper = dict(optimizer=dict(lr=_base_.rate))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], eta_min=_base_.rate * 0.05),
]
auto_scale_lr = dict(base_batch_size=_base_.batch)
# A training adds the other hooks of _base_/hooks.py.
custom_hooks = [*_base_.custom_hooks, dict(type='mmsmt.ProgressBarHook')]

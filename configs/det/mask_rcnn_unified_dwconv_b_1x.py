_base_ = ['../_base_/backbones/unified_dwconv_b.py', '_base_/mask_rcnn.py', '_base_/unified_1x.py']
model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.backbone,
        behaviour='detection',
        drop_path_rate=0.3,
        init_cfg=_base_.pretrained,
    ),
    neck=dict(in_channels=_base_.backbone_channels),
)
optim_wrapper = _base_.unified_optim_wrapper
param_scheduler = _base_.unified_param_scheduler

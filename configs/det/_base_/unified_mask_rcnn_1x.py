# Recipe of the unified detectors: half the usual rate, twice the warm-up. Norms do not decay,
# except those of stem and reductions, whose released names do not contain "norm".
_base_ = [
    '../../_base_/hooks.py',
    'tta.py',
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]
detection = dict(_delete_=True, behaviour='detection')
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-4 * 16 / 16, betas=(0.9, 0.999), weight_decay=0.05
    ),
    paramwise_cfg=dict(
        custom_keys={
            'patch_embeds': dict(decay_mult=1.0),
            'norm': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, end=1000),
    dict(type='MultiStepLR', milestones=[8, 11], gamma=0.1),
]

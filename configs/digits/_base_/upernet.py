_base_ = [
    '../../_base_/hooks.py',
    'semantic.py',
    'mmseg::_base_/models/upernet_swin.py',
    'mmseg::_base_/default_runtime.py',
]
channels = 48
norm_cfg = dict(type='BN', requires_grad=True)
# The hosts' std of 0.01 keeps the digits' probabilities equal for a thousand steps.
classifier_init = dict(type='Normal', std=0.1, override=dict(name='conv_seg'))
# 95 % of the pixels are background.
loss_decode = dict(class_weight=[0.4] + [1.0] * 10)
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(
        channels=channels,
        num_classes=11,
        norm_cfg=norm_cfg,
        init_cfg=classifier_init,
        loss_decode=loss_decode,
    ),
    auxiliary_head=dict(
        channels=channels,
        num_classes=11,
        norm_cfg=norm_cfg,
        init_cfg=classifier_init,
        loss_decode=loss_decode,
    ),
)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3 * 6 / 6, weight_decay=0.01),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys=dict(backbone=dict(lr_mult=0.5)),
    ),
)
auto_scale_lr = dict(base_batch_size=6, enable=False)
max_epochs = 4
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50),
    dict(
        type='CosineAnnealingLR', eta_min=1e-6, begin=0, end=max_epochs, convert_to_iter_based=True
    ),
]
# Epochs instead of mmseg's iterations, so that resumed training is exact.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
log_processor = dict(by_epoch=True)
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=25),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='mmseg.SegVisualizationHook'),
)
randomness = dict(seed=0)

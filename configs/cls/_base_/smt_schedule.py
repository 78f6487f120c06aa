# 300 epochs on 8 x 128 images; no decay on biases and other one-dimensional parameters.
_base_ = 'mmpretrain::_base_/schedules/imagenet_bs1024_adamw_swin.py'
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(lr=1e-3 * 1024 / 512),
    clip_grad=dict(max_norm=5.0),
)
warmup_epochs = 5
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, end=warmup_epochs, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6 * 1024 / 512,
        begin=warmup_epochs,
        convert_to_iter_based=True,
    ),
]

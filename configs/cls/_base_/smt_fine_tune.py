# From ImageNet-22K to 1K: 30 epochs. At 224 on 8 x 128 images with a rate of 1e-5 per 512 images,
# at 384 on 8 x 64 images with 2e-5 per 512 images, which is the same rate.
_base_ = 'mmpretrain::_base_/schedules/imagenet_bs1024_adamw_swin.py'
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(lr=1e-5 * 1024 / 512),
    clip_grad=dict(max_norm=5.0),
)
train_cfg = dict(max_epochs=30)
warmup_epochs = 5
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, end=warmup_epochs, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-7 * 1024 / 512,
        begin=warmup_epochs,
        convert_to_iter_based=True,
    ),
]

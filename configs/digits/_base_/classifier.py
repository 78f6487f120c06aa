_base_ = [
    '../../_base_/hooks.py',
    'tiles.py',
    'mmpretrain::_base_/default_runtime.py',
]
model = dict(
    type='mmpretrain.ImageClassifier',
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(
        type='mmpretrain.LinearClsHead',
        num_classes=10,
        loss=dict(type='mmpretrain.LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        topk=(1,),
    ),
)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3 * 64 / 64, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=64, enable=False)
max_epochs = 6
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(
        type='CosineAnnealingLR', eta_min=1e-6, begin=0, end=max_epochs, convert_to_iter_based=True
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    logger=dict(interval=40),
    checkpoint=dict(interval=1, max_keep_ckpts=2),
    visualization=dict(rescale_factor=4),  # labels are unreadable at 64 pixels
)
randomness = dict(seed=0)

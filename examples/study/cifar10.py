# CIFAR-10 as image folders, from `mmsmt new cls`, with the usual augmentation; for `mmsmt study`.
_base_ = [
    'mmsmt::_base_/backbones/smt_pico.py',
    'mmsmt::_base_/own_data/cls.py',
    'mmsmt::_base_/own_data/classifier.py',
]
epochs = 30
batch_size = 32
learning_rate = 0.001  # of that batch
image_size = 64
classes = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')
data_root = 'cifar10/'

load = dict(type='LoadImageFromFile')
resize = dict(type='ResizeEdge', scale=image_size)
cut = dict(type='RandomCrop', crop_size=image_size, padding=image_size // 8)
flip = dict(type='RandomFlip', prob=0.5)
train_pipeline = [load, resize, cut, flip, _base_.pack]
test_pipeline = [load, resize, _base_.pack]
data = dict(type='CustomDataset', data_root=data_root, metainfo=dict(classes=classes))
workers = dict(num_workers=2, persistent_workers=True)
evaluation = dict(
    **workers, batch_size=batch_size, sampler=dict(type='DefaultSampler', shuffle=False)
)
train_dataloader = dict(
    **workers,
    batch_size=batch_size,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **data, data_prefix='train', ann_file='mmsmt_split/train.txt', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    **evaluation,
    dataset=dict(
        **data, data_prefix='train', ann_file='mmsmt_split/val.txt', pipeline=test_pipeline
    ),
)
test_dataloader = dict(
    **evaluation, dataset=dict(**data, data_prefix='test', pipeline=test_pipeline)
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, out_indices=(3,)),
    head=dict(num_classes=len(classes), in_channels=_base_.backbone_channels[3]),
)
data_preprocessor = dict(num_classes=len(classes))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=learning_rate, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=batch_size)
# The first epoch warms up. Without an `end` the cosine lasts as long as the training.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-06, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=1, max_keep_ckpts=2))

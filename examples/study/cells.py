# RetinaNet on blood cells (BCCD) at half size for three epochs, for `mmsmt study --transfer`.
_base_ = [
    'mmsmt::_base_/backbones/smt_pico.py',
    'mmsmt::_base_/own_data/det.py',
    'mmsmt::_base_/own_data/small_retinanet.py',
]
epochs = 3
batch_size = 4
learning_rate = 0.0005  # of that batch
image_size = (320, 240)  # pixels; images are scaled to fit
classes = ('Platelets', 'RBC', 'WBC')
data_root = 'BCCD/'

load = dict(type='LoadImageFromFile')
resize = dict(type='Resize', scale=image_size, keep_ratio=True)
train_pipeline = [load, _base_.load_boxes, resize, *_base_.augment]
test_pipeline = [load, resize, _base_.load_boxes, _base_.pack_for_test]
data = dict(type='CocoDataset', data_root=data_root, metainfo=dict(classes=classes))
workers = dict(num_workers=2, persistent_workers=True)
evaluation = dict(**workers, batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))
train_dataloader = dict(
    _delete_=True,
    **workers,
    batch_size=batch_size,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **data,
        ann_file='mmsmt_coco/train.json',
        data_prefix=dict(img='JPEGImages'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    _delete_=True,
    **evaluation,
    dataset=dict(
        **data,
        ann_file='mmsmt_coco/val.json',
        data_prefix=dict(img='JPEGImages'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    _delete_=True,
    **evaluation,
    dataset=dict(
        **data,
        ann_file='mmsmt_coco/test.json',
        data_prefix=dict(img='JPEGImages'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(
    _delete_=True, type='CocoMetric', ann_file=data_root + 'mmsmt_coco/val.json', metric='bbox'
)
test_evaluator = dict(
    _delete_=True, type='CocoMetric', ann_file=data_root + 'mmsmt_coco/test.json', metric='bbox'
)
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone),
    neck=dict(in_channels=_base_.backbone_channels),
    bbox_head=dict(num_classes=len(classes)),
)
optim_wrapper = dict(
    _delete_=True,
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
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1)
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(interval=1, max_keep_ckpts=2, by_epoch=True)
)

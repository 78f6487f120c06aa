# As at 224, but on 8 x 64 images, and evaluated on the whole image, resized.
_base_ = [
    '../_base_/backbones/smt_l.py',
    '../_base_/hooks.py',
    '_base_/in1k.py',
    '_base_/smt_fine_tune.py',
]
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,), init_cfg=_base_.pretrained),
    head=dict(in_channels=_base_.backbone_channels[-1]),
)
image_size = 384
train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = image_size
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, backend='pillow', interpolation='bicubic'),
    dict(type='PackInputs'),
]
tta_pipeline = [*test_pipeline[:-1], _base_.tta_pipeline[-1]]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=8 * 64)

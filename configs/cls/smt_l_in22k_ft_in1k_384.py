# Fine-tuning at 384 on 8 x 64 images; evaluated on the whole image, resized.
_base_ = './smt_l_in22k_ft_in1k.py'
batch = 8 * 64
image_size = 384
train_pipeline = _base_.train_pipeline
train_pipeline[1].scale = image_size
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=image_size, backend='pillow', interpolation='bicubic'),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=2e-5 * batch / 512))
auto_scale_lr = dict(base_batch_size=batch)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], eta_min=2e-7 * batch / 512),
]

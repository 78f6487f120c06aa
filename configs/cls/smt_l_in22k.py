# Pre-training on ImageNet-22K: 90 epochs on 8 x 128 images, four batches a step.
_base_ = [
    '../_base_/backbones/smt_l.py',
    '../_base_/hooks.py',
    '_base_/in1k.py',
    '_base_/smt_schedule.py',
]
classes = 21841
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,)),
    head=dict(in_channels=_base_.backbone_channels[-1], num_classes=classes),
)
data_preprocessor = dict(num_classes=classes)
train_dataloader = dict(dataset=dict(type='ImageNet21k', data_root='data/imagenet22k'))
# The release does not define a validation set.
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
optim_wrapper = dict(accumulative_counts=4, optimizer=dict(lr=1.25e-4 * 4096 / 512))
auto_scale_lr = dict(base_batch_size=4096)
train_cfg = dict(max_epochs=90)
warmup_epochs = 5
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, end=warmup_epochs, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1.25e-6 * 4096 / 512,
        begin=warmup_epochs,
        convert_to_iter_based=True,
    ),
]

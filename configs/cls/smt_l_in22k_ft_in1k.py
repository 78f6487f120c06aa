# Fine-tuning from ImageNet-22K to 1K at 224: 30 epochs on 8 x 128 images. The head starts from
# scratch; to start it from the 1,000 matching rows of the 22K head, as the authors do, convert the
# file with `tools/convert_checkpoint.py --head-map` and give it as `load_from`.
_base_ = ['../_base_/backbones/smt_l.py', '_base_/in1k.py', '_base_/smt_schedule.py']
model = dict(
    backbone=dict(**_base_.backbone, out_indices=(3,), init_cfg=_base_.pretrained),
    head=dict(in_channels=_base_.backbone_channels[-1]),
)
optim_wrapper = dict(optimizer=dict(lr=1e-5 * 1024 / 512))
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

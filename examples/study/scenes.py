# One epoch of 1,000 digit scenes, for `mmsmt study --transfer`.
_base_ = 'mmsmt::digits/upernet_smt_pico.py'
train_dataloader = dict(dataset=dict(indices=1000))
train_cfg = dict(max_epochs=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=30),
    dict(type='CosineAnnealingLR', eta_min=1e-6, convert_to_iter_based=True),
]

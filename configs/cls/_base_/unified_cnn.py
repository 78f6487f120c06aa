# Unified classifier with dwconv, and presumably dcnv3: four times the batch size and learning rate.
# The warm-up starts at 0, which `start_factor` cannot be.
_base_ = ['../../_base_/hooks.py', 'in1k.py', 'unified_schedule.py']
model = dict(train_cfg=dict(augments=_base_.augments))
custom_hooks = [*_base_.custom_hooks, _base_.averaging]
optim_wrapper = dict(optimizer=dict(lr=4e-3 * 4096 / 4096), accumulative_counts=4)
warmup_epochs = 20
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, end=warmup_epochs, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, begin=warmup_epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=4096)

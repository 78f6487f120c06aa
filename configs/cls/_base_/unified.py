# Unified classifier with halo, sra or window.
_base_ = ['../../_base_/hooks.py', 'in1k.py', 'unified_schedule.py']
model = dict(train_cfg=dict(augments=_base_.augments))
custom_hooks = [*_base_.custom_hooks, _base_.averaging]

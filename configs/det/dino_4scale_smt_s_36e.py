_base_ = './dino_4scale_smt_s_12e.py'
max_epochs = 36
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    _base_.param_scheduler[0],
    # The step of the host's own 36 epochs.
    dict(type='MultiStepLR', end=max_epochs, milestones=[30], gamma=0.1),
]

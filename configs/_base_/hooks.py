# For every task: a start only from weights that fit, random numbers that survive an
# interruption, and a progress bar in terminals.
custom_hooks = [
    dict(type='mmsmt.StrictLoadHook'),
    dict(type='mmsmt.EpochSeedHook'),
    dict(type='mmsmt.ProgressBarHook'),
]

# For every task: start only from weights that fit, resume random numbers and validations, average
# batch norms over processes, stop at a NaN or Inf loss, and show a progress bar in terminals.
custom_hooks = [
    dict(type='mmsmt.StrictLoadHook'),
    dict(type='mmsmt.EpochSeedHook'),
    dict(type='mmsmt.MissedValidationHook'),
    dict(type='mmsmt.SharedStatisticsHook'),
    dict(type='mmsmt.AnomalyHook'),
    dict(type='mmsmt.ProgressBarHook'),
]

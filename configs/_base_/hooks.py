# For every task: a start only from weights that fit, random numbers and validations that survive
# an interruption, batch norms that agree over processes, a stop at a NaN or Inf loss, and a
# progress bar in terminals.
custom_hooks = [
    dict(type='mmsmt.StrictLoadHook'),
    dict(type='mmsmt.EpochSeedHook'),
    dict(type='mmsmt.MissedValidationHook'),
    dict(type='mmsmt.SharedStatisticsHook'),
    dict(type='mmsmt.AnomalyHook'),
    dict(type='mmsmt.ProgressBarHook'),
]

# For every task: a start only from weights that fit, and a progress bar in terminals.
custom_hooks = [dict(type='mmsmt.StrictLoadHook'), dict(type='mmsmt.ProgressBarHook')]

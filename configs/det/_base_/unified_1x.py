# The recipe of unified detectors: half of the usual rate, twice the warm-up. Norms do not decay,
# but for those of stem and reductions, whose released names do not say norm.
unified_optim_wrapper = dict(
    optimizer=dict(lr=1e-4 * 16 / 16),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys={
            'patch_embeds': dict(decay_mult=1.0),
            'norm': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
        },
    ),
)
unified_param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, end=1000),
    dict(type='MultiStepLR', milestones=[8, 11], gamma=0.1),
]

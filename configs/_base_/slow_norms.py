# For `custom_keys` of a recipe whose backbone learns at a tenth of the rate: its norms do not decay
# either, as in Mask2Former's own recipes with Swin. A longer name takes precedence.
slow = dict(lr_mult=0.1, decay_mult=0.0)
slow_norms = {
    'backbone.norms': slow,
    'patch_embeds.0.bn': slow,
    **{f'patch_embeds.{stage}.norm': slow for stage in range(4)},
    **{
        f'.{norm}.{part}': slow
        for norm in ('norm1', 'norm2', 'mixer.bn')
        for part in ('weight', 'bias')
    },
}

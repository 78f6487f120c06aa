# halo, sra and window: 300 epochs on 8 x 128 images, 20 of them warm-up, clipped gradients,
# averaged weights, statistics of the batch norm before the pooling over all processes.
_base_ = 'mmpretrain::_base_/schedules/imagenet_bs1024_adamw_swin.py'
optim_wrapper = dict(type='AmpOptimWrapper', clip_grad=dict(max_norm=5.0))
averaging = dict(type='EMAHook', momentum=1 - 0.9999, update_buffers=True, priority='ABOVE_NORMAL')
augments = [dict(type='mmpretrain.Mixup', alpha=0.8), dict(type='mmpretrain.CutMix', alpha=1.0)]
sync_bn = 'torch'
# Layer scale has four axes in the released halo and dwconv, so that it decays; here it has one.
decayed_scales = dict(
    custom_keys={'.scale1.': dict(decay_mult=1.0), '.scale2.': dict(decay_mult=1.0)}
)

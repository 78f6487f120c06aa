# 300 epochs on 8 x 128 images, 20 of them warm-up, averaged weights. The recipe
# also lists colour jitter, which timm ignores when RandAugment is on.
_base_ = 'mmpretrain::_base_/schedules/imagenet_bs1024_adamw_swin.py'
optim_wrapper = dict(type='AmpOptimWrapper')
averaging = dict(type='EMAHook', momentum=1 - 0.99992, priority='ABOVE_NORMAL')
augments = [dict(type='mmpretrain.Mixup', alpha=0.8), dict(type='mmpretrain.CutMix', alpha=1.0)]

# UPerNet with a tenth of the channels, for a CPU or a small GPU.
_base_ = '../../seg/_base_/upernet.py'
channels = 48
norm_cfg = dict(type='BN', requires_grad=True)
# With the host's std of 0.01 a short training predicts the most frequent class everywhere.
classifier_init = dict(type='Normal', std=0.1, override=dict(name='conv_seg'))
head = dict(channels=channels, norm_cfg=norm_cfg, init_cfg=classifier_init)
model = dict(decode_head=head, auxiliary_head=head)

# UPerNet with a tenth of the channels, for a CPU or a small GPU.
_base_ = '../../seg/_base_/upernet.py'
channels = 48
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    decode_head=dict(channels=channels, norm_cfg=norm_cfg),
    auxiliary_head=dict(channels=channels, norm_cfg=norm_cfg),
)

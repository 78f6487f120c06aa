# Semantic FPN with the schedule of PVT (arXiv 2102.12122): 80k iterations on 8 x 2 images.
_base_ = [
    '../../_base_/hooks.py',
    'mmseg::_base_/models/fpn_r50.py',
    'mmseg::_base_/schedules/schedule_80k.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)), pretrained=None, decode_head=dict(num_classes=150)
)
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-4 * 16 / 16, betas=(0.9, 0.999), weight_decay=1e-4
    )
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=0.0, by_epoch=False, end=80000)]
auto_scale_lr = dict(base_batch_size=16, enable=False)

_base_ = [
    '../_base_/backbones/smt_s.py',
    '../_base_/hooks.py',
    '_base_/tta.py',
    'mmdet::ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py',
]
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        _delete_=True, **_base_.backbone, out_indices=(1, 2, 3), init_cfg=_base_.pretrained
    ),
    neck=dict(in_channels=_base_.backbone_channels[1:]),
)
tta_model = dict(tta_cfg=_base_.set_tta_cfg)

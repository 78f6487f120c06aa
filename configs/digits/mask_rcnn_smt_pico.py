_base_ = ['../_base_/backbones/smt_pico.py', '_base_/mask_rcnn.py']
model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.backbone,
        # Trained by configs/digits/cls_smt_pico.py.
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/cls_smt_pico/epoch_6.pth'),
    ),
    neck=dict(in_channels=_base_.backbone_channels),
)

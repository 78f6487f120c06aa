_base_ = ['../_base_/backbones/sg_former_pico.py', '_base_/upernet.py']
model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.backbone,
        # Trained by configs/digits/mask_rcnn_sg_former_pico.py, on the scenes.
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/mask_rcnn_sg_former_pico/epoch_2.pth'
        ),
    ),
    decode_head=dict(in_channels=_base_.backbone_channels),
    auxiliary_head=dict(in_channels=_base_.backbone_channels[2]),
)

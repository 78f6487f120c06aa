_base_ = [
    '../_base_/backbones/smt_pico.py',
    '../_base_/hooks.py',
    '_base_/instances.py',
    '_base_/detection_runtime.py',
    'mmdet::_base_/models/retinanet_r50_fpn.py',
]
channels = 64
model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.backbone,
        # Trained by configs/digits/cls_smt_pico.py.
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/cls_smt_pico/epoch_6.pth'),
    ),
    # Digits of 12 pixels need stride 4, which RetinaNet leaves out on COCO.
    neck=dict(
        in_channels=_base_.backbone_channels, out_channels=channels, start_level=0, num_outs=4
    ),
    bbox_head=dict(
        num_classes=10,
        in_channels=channels,
        feat_channels=channels,
        stacked_convs=2,
        anchor_generator=dict(
            octave_base_scale=4, scales_per_octave=1, ratios=[1.0, 2.0], strides=[4, 8, 16, 32]
        ),
    ),
    test_cfg=dict(max_per_img=30),
)
val_evaluator = dict(metric='bbox')
test_evaluator = val_evaluator

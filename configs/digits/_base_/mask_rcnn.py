_base_ = [
    '../../_base_/hooks.py',
    'instances.py',
    'detection_runtime.py',
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
]
channels = 64
model = dict(
    neck=dict(out_channels=channels, num_outs=4),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        # Digits are 12 to 120 pixels high and never wider than high.
        anchor_generator=dict(scales=[4], ratios=[1.0, 2.0], strides=[4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels, finest_scale=24),
        bbox_head=dict(in_channels=channels, fc_out_channels=256, num_classes=10),
        mask_roi_extractor=dict(out_channels=channels, finest_scale=24),
        mask_head=dict(
            num_convs=2, in_channels=channels, conv_out_channels=channels, num_classes=10
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=400, max_per_img=200), rcnn=dict(sampler=dict(num=64))
    ),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100), rcnn=dict(max_per_img=30)),
)

# RetinaNet with a quarter of the channels and half of the layers, for a CPU or a small GPU. From
# stride 4 on, so that small images and small objects are well served.
_base_ = '../../det/_base_/retinanet.py'
channels = 64
model = dict(
    neck=dict(out_channels=channels, start_level=0, num_outs=5),
    bbox_head=dict(
        in_channels=channels,
        feat_channels=channels,
        stacked_convs=2,
        anchor_generator=dict(octave_base_scale=4, scales_per_octave=2, strides=[4, 8, 16, 32, 64]),
    ),
)

# Sizes and flip of Detectron2 for Mask R-CNN (its default `TEST.AUG`): nine sizes of the shorter
# side, the longer at most 4000 pixels, each with its mirror image.
tta_model = dict(
    type='mmsmt.InstanceTTAModel',
    tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
)
# For detectors with one box per object, whose overlapping objects NMS at 0.5 would remove: the
# released setting of Co-DETR (arXiv 2211.12860), a DINO with NMS.
set_tta_cfg = dict(nms=dict(type='soft_nms', iou_threshold=0.8), max_per_img=300)
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='mmdet.Resize', scale=(4000, short), keep_ratio=True)
                for short in range(400, 1201, 100)
            ],
            [dict(type='mmdet.RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='mmdet.PackDetInputs')],
        ],
    ),
]

# Sizes and flip are Detectron2's for Mask R-CNN (`TEST.AUG` of its defaults): the shorter side at
# nine sizes, the longer at 4000 pixels at most, each mirrored too.
tta_model = dict(
    type='mmsmt.InstanceTTAModel',
    tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100),
)
# For detectors of one box an object, which find overlapping objects that NMS at 0.5 would take
# away: what Co-DETR (arXiv 2211.12860), a DINO that does use NMS, releases in its configs.
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

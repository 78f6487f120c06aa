_base_ = [
    '../../_base_/hooks.py',
    'tta.py',
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py',
]
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-4 * 16 / 16, betas=(0.9, 0.999), weight_decay=0.05
    )
)

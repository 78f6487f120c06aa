_base_ = [
    '../../_base_/hooks.py',
    'tta.py',
    'mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_300-proposals_crop-ms-480-800-3x_coco.py',
]
tta_model = dict(tta_cfg=_base_.set_tta_cfg)

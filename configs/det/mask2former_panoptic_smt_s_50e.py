_base_ = [
    '../_base_/backbones/smt_s.py',
    '../_base_/hooks.py',
    '../_base_/slow_norms.py',
    'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py',
]
model = dict(
    backbone=dict(_delete_=True, **_base_.backbone, init_cfg=_base_.pretrained),
    panoptic_head=dict(in_channels=_base_.backbone_channels),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.slow_norms))

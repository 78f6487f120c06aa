"""Broken types and arguments: every fault is named with its key and what is right."""

from collections.abc import Callable

import pytest

CLS, MASK, RETINA, SEG, DINO = (
    'digits/cls_smt_pico.py',
    'digits/mask_rcnn_smt_pico.py',
    'digits/retinanet_smt_pico.py',
    'digits/upernet_smt_pico.py',
    'det/dino_4scale_smt_s_12e.py',
)
# What is broken: the base, the text, and of every fault its key, what is wrong, what is right.
BROKEN: dict[str, tuple[str, str, list[tuple[str, str, str]]]] = {
    'types': (
        RETINA,
        "model = dict(backbone=dict(type='SMT'), bbox_head=dict(type='RetinaHed'))",
        [
            ('model.backbone.type', "unknown module 'SMT'", "'mmsmt.SMT'"),
            ('model.bbox_head.type', "unknown module 'RetinaHed'", "'RetinaHead'"),
        ],
    ),
    'a network as a transform': (
        CLS,
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='mmsmt.SMT'), dict(size=3)]))",
        [
            ('train_dataloader.dataset.pipeline[0].type', "'mmsmt.SMT' is not a transform", 'name'),
            ('train_dataloader.dataset.pipeline[1]', 'has no `type`', 'transform'),
        ],
    ),
    'arguments in a model': (
        MASK,
        """model = dict(
            neck=dict(out_chanels=64),
            rpn_head=dict(anchor_generator=dict(scale=[1]), loss_cls=dict(loss_wait=1.0)),
            roi_head=dict(mask_head=dict(num_clases=3)),
            train_cfg=dict(rpn=dict(assigner=dict(pos_iou_th=0.3))),
            test_cfg=dict(rpn=dict(nms=dict(iou_treshold=0.3))),
        )""",
        [
            ('model.neck.out_chanels', 'FPN has no argument', "'out_channels'"),
            ('model.rpn_head.anchor_generator.scale', 'AnchorGenerator has no', "'scales'"),
            ('model.rpn_head.loss_cls.loss_wait', 'CrossEntropyLoss has no', "'loss_weight'"),
            ('model.roi_head.mask_head.num_clases', 'FCNMaskHead has no', "'num_classes'"),
            ('model.train_cfg.rpn.assigner.pos_iou_th', 'MaxIoUAssigner has', "'pos_iou_thr'"),
            ('model.test_cfg.rpn.nms.iou_treshold', 'nms has no', "'iou_threshold'"),
        ],
    ),
    'an operator of mmcv in a model that builds': (
        MASK,
        'model = dict(test_cfg=dict(rpn=dict(nms=dict(iou_treshold=0.3, class_agnostic=True))))',
        [('model.test_cfg.rpn.nms.iou_treshold', 'nms has no argument', "'iou_threshold'")],
    ),
    'arguments around a model': (
        MASK,
        """
train_dataloader = dict(batch_sz=3, sampler=dict(shufle=True), dataset=dict(ann_fil='x'))
optim_wrapper = dict(optimizer=dict(weight_decy=0.1), clip_gradd=1)
default_hooks = dict(checkpoint=dict(intervall=3))
custom_hooks = [dict(type='mmsmt.StrictLoadHook', alow='neck', priority='LOW')]
param_scheduler = [dict(type='LinearLR', start_faktor=1, convert_to_iter_based=True)]
val_evaluator = dict(metrics='bbox')
train_cfg = dict(max_epoch=3)
visualizer = dict(vis_backend=[])""",
        [
            ('train_dataloader.batch_sz', 'DataLoader has no', "'batch_size'"),
            ('train_dataloader.sampler.shufle', 'DefaultSampler has no', "'shuffle'"),
            ('train_dataloader.dataset.ann_fil', 'CocoDataset has no', "'ann_file'"),
            ('optim_wrapper.optimizer.weight_decy', 'AdamW has no', "'weight_decay'"),
            ('optim_wrapper.clip_gradd', 'OptimWrapper has no', "'clip_grad'"),
            ('default_hooks.checkpoint.intervall', 'CheckpointHook has no', "'interval'"),
            ('custom_hooks[0].alow', 'StrictLoadHook has no', "'allow'"),
            ('param_scheduler[0].start_faktor', 'LinearLR has no', "'start_factor'"),
            ('val_evaluator.metrics', 'CocoMetric has no', "'metric'"),
            ('train_cfg.max_epoch', 'EpochBasedTrainLoop has no', "'max_epochs'"),
            ('visualizer.vis_backend', 'DetLocalVisualizer has no', "'vis_backends'"),
        ],
    ),
    'transforms': (
        CLS,
        """train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='Rotate', angel=15.0),
            dict(type='Sheer', magnitude=0.2),
            dict(type='RandomApply', transforms=[dict(type='ColorJitter', brigthness=1)]),
            dict(type='RandAugment', policies=[
                dict(type='Invert', magnitude_key='x', magnitude_rang=3)
            ], num_policies=1, magnitude_level=1),
        ]))""",
        [
            ('train_dataloader.dataset.pipeline[0].angel', 'Rotate has no', "'angle'"),
            ('train_dataloader.dataset.pipeline[1].type', "unknown transform 'Sheer'", "'Shear'"),
            (
                'train_dataloader.dataset.pipeline[2].transforms[0].brigthness',
                'ColorJitter has no',
                "'brightness'",
            ),
            (
                'train_dataloader.dataset.pipeline[3].policies[0].magnitude_rang',
                'Invert has no',
                "'magnitude_range'",
            ),
        ],
    ),
    'fields of a variant': (
        RETINA,
        'model = dict(backbone=dict(depht=(1, 1, 1, 1), drop_path=0.1))',
        [
            ('model.backbone.depht', 'SMT has no argument', "'depths'"),
            ('model.backbone.drop_path', 'SMT has no argument', "'drop_path_rate'"),
        ],
    ),
    'arch': (
        CLS,
        "model = dict(backbone=dict(arch='smt_tiny'))",
        [('model.backbone.arch', "unknown arch 'smt_tiny'", 'known: pico, tiny')],
    ),
    'out_indices': (
        CLS,
        'model = dict(backbone=dict(out_indices=(4,)))',
        [('model.backbone.out_indices', 'must be one or more of 0 to 3', '')],
    ),
    'an argument of a part without a type': (
        DINO,
        'model = dict(encoder=dict(num_layer=3))\nauto_scale_lr = dict(base_batch_size=2)',
        [('model.encoder.num_layer', 'unexpected keyword', 'DINO')],
    ),
    'next to a norm that mmcv freezes': (
        SEG,
        'model = dict(decode_head=dict(chanels=3), auxiliary_head=dict(norm_cfg=dict(epz=1)))',
        [
            ('model.decode_head.chanels', 'UPerHead has no', "'channels'"),
            ('model.auxiliary_head.norm_cfg.epz', 'BatchNorm2d has no', "'eps'"),
        ],
    ),
}


@pytest.mark.parametrize('name', BROKEN)
def test_names_key_and_what_is_right(assert_found: Callable, name: str) -> None:
    assert_found(*BROKEN[name])


@pytest.mark.parametrize('base', [CLS, MASK])
def test_nothing_changed_is_clean(lint: Callable, base: str) -> None:
    assert lint(base, '') == []

"""Broken configs: every fault is named with its key and what is right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmsmt.checks.config import check_config
from mmsmt.paths import carried

CONFIGS = carried('configs')

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
            ('train_dataloader.dataset.pipeline[0].type', "'mmsmt.SMT' is no transform", 'name'),
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
        [('model.backbone.out_indices', 'must be in 0 to 3', '')],
    ),
    'an argument of a part without a type': (
        DINO,
        'model = dict(encoder=dict(num_layer=3))\nauto_scale_lr = dict(base_batch_size=2)',
        [('model.encoder.num_layer', 'unexpected keyword', 'DINO')],
    ),
    'channels of pyramid and heads': (
        MASK,
        """model = dict(
            neck=dict(in_channels=[64, 128, 256, 512], num_outs=3),
            rpn_head=dict(in_channels=32),
            roi_head=dict(bbox_roi_extractor=dict(out_channels=256),
                          mask_head=dict(in_channels=256)),
        )""",
        [
            ('model.neck.in_channels', '[64, 128, 256, 512]', 'must be [32, 64, 128, 256]'),
            ('model.neck.num_outs', 'is 3', 'must be at least 4'),
            ('model.rpn_head.in_channels', 'is 32', 'must be 64'),
            ('model.roi_head.bbox_roi_extractor.out_channels', 'is 256', 'must be 64'),
            ('model.roi_head.mask_head.in_channels', 'is 256', 'must be 64'),
        ],
    ),
    'number of maps': (
        RETINA,
        'model = dict(backbone=dict(out_indices=(1, 2, 3)))',
        [('model.neck.in_channels', '[32, 64, 128, 256]', 'must be [64, 128, 256]')],
    ),
    'start level': (
        RETINA,
        'model = dict(neck=dict(start_level=4))',
        [('model.neck.start_level', 'is 4', 'must be in 0 to 3')],
    ),
    'strides of another number of maps': (
        RETINA,
        'model = dict(neck=dict(num_outs=5))',
        [('model.bbox_head.anchor_generator.strides', 'has 4', 'one for each of 5 maps')],
    ),
    'levels of a transformer': (
        DINO,
        'model = dict(num_feature_levels=5)\nauto_scale_lr = dict(base_batch_size=2)',
        [('model.num_feature_levels', 'is 5', 'must be 4')],
    ),
    'channels of a segmenter': (
        SEG,
        """model = dict(decode_head=dict(in_channels=[64, 128, 256, 512]),
                        auxiliary_head=dict(in_index=4))""",
        [
            ('model.decode_head.in_channels', '[64, 128', 'must be [32, 64, 128, 256]'),
            ('model.auxiliary_head.in_index', 'is 4', 'must be in 0 to 3'),
        ],
    ),
    'beside a norm that mmcv freezes': (
        SEG,
        'model = dict(decode_head=dict(chanels=3), auxiliary_head=dict(norm_cfg=dict(epz=1)))',
        [
            ('model.decode_head.chanels', 'UPerHead has no', "'channels'"),
            ('model.auxiliary_head.norm_cfg.epz', 'BatchNorm2d has no', "'eps'"),
        ],
    ),
    'channels of a classifier': (
        CLS,
        'model = dict(backbone=dict(out_indices=(2,)))',
        [('model.head.in_channels', 'is 256', 'must be 128')],
    ),
    'classes of a detector': (
        MASK,
        'model = dict(roi_head=dict(mask_head=dict(num_classes=80)))',
        [('model.roi_head.mask_head.num_classes', 'is 80', 'must be 10')],
    ),
    'classes of ADE20K': (
        'seg/fpn_smt_s_80k_ade20k.py',
        'model = dict(decode_head=dict(num_classes=151))',
        [('model.decode_head.num_classes', 'is 151', 'must be 150')],
    ),
    'classes of COCO': (
        'det/retinanet_smt_t_1x.py',
        'model = dict(bbox_head=dict(num_classes=79))',
        [('model.bbox_head.num_classes', 'is 79', 'must be 80')],
    ),
    'one class without a comma': (
        MASK,
        "train_dataloader = dict(dataset=dict(metainfo=dict(classes=('cat'))))",
        [('train_dataloader.dataset.metainfo.classes', "the text 'cat'", "('cat',)")],
    ),
    'classes of the preprocessor': (
        CLS,
        'model = dict(head=dict(num_classes=5))',
        [('data_preprocessor.num_classes', 'is 10', 'must be 5')],
    ),
    'no batch for the rate': (
        CLS,
        'auto_scale_lr = dict(_delete_=True, enable=False)',
        [('auto_scale_lr.base_batch_size', 'is absent', 'lr 0.001 is for: 64')],
    ),
    'the label 0 of the data and of the pipelines': (
        SEG,
        'train_dataloader = dict(dataset=dict(reduce_zero_label=False))\n'
        'test_dataloader = dict(dataset=dict(reduce_zero_label=False))',
        [
            (f'{place}.reduce_zero_label', 'is True', f'must be False, as that of {data}')
            for place, data in (
                ('train_dataloader.dataset.pipeline[1]', 'train_dataloader.dataset'),
                ('test_dataloader.dataset.pipeline[1]', 'test_dataloader.dataset'),
                ('tta_pipeline[1].transforms[1][0]', 'test_dataloader.dataset'),
            )
        ],
    ),
    'pixels without a label, and padding': (
        SEG,
        'model = dict(decode_head=dict(ignore_index=10))',
        [
            (
                'model.data_preprocessor.seg_pad_val',
                'is 255',
                'must be 10, the ignore_index of model.dec',
            )
        ],
    ),
    'weights of a host for a backbone of ours': (
        SEG,
        "model = dict(pretrained='open-mmlab://resnet50_v1c')",
        [('model.pretrained', 'resnet50_v1c', 'set it to None: mmsmt.SMT takes weights by')],
    ),
    'another batch than that of the rate': (
        CLS,
        'train_dataloader = dict(batch_size=48)',
        [('auto_scale_lr.base_batch_size', 'is 64', 'lr 0.001 would be 0.00075')],
    ),
}


@pytest.mark.parametrize('name', BROKEN)
def test_names_key_and_what_is_right(lint: Callable, name: str) -> None:
    base, text, expected = BROKEN[name]
    found = {f.key: f for f in lint(base, text)}
    assert sorted(found) == sorted(key for key, _, _ in expected)
    for key, wrong, right in expected:
        assert wrong in found[key].wrong, found[key]
        assert right in found[key].right, found[key]


@pytest.mark.parametrize('base', [CLS, MASK])
def test_nothing_changed_is_clean(lint: Callable, base: str) -> None:
    assert lint(base, '') == []


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
    """Keys of the notes on a config, and what they say is wrong."""

    def check(base: str, text: str) -> dict[str, str]:
        path = tmp_path / 'noted.py'
        path.write_text(f"_base_ = '{CONFIGS / base}'\n{text}")
        return {f.key: f.wrong for f in check_config(path) if f.note}

    return check


def test_a_last_batch_of_one_image_is_a_note(notes: Callable) -> None:
    key = 'train_dataloader.drop_last'
    assert key not in notes(SEG, '')
    assert key in notes(SEG, 'train_dataloader = dict(drop_last=False)')
    assert key not in notes(SEG, 'train_dataloader = dict(drop_last=False, batch_size=1)')


def test_inherited_views_of_other_sizes_are_a_note(notes: Callable) -> None:
    """Blood cells at 640 lost five points of AP by the digits' views of 224 to 288."""
    changed = """
pipeline = _base_.test_dataloader.dataset.pipeline
pipeline[1].scale = ({size}, 480)
test_dataloader = dict(dataset=dict(pipeline=pipeline))
"""
    assert 'tta_pipeline' not in notes(MASK, '')
    said = notes(MASK, changed.format(size=640))['tta_pipeline']
    assert '224, 256, 288' in said and '480' in said
    # Sizes around the test pipeline's are fine, whoever wrote them.
    own = 'tta_pipeline = _base_.tta_pipeline\ntta_pipeline[1].transforms[0][2].scale = (4000, 500)'
    assert 'tta_pipeline' not in notes(MASK, changed.format(size=640) + own)


@pytest.mark.parametrize(('processes', 'clean'), [(1, True), (2, False)])
def test_states_the_rate_for_the_processes(lint: Callable, processes: int, clean: bool) -> None:
    found = lint(CLS, 'optim_wrapper = dict(accumulative_counts=1)', processes)
    assert (found == []) == clean
    if found:
        assert 'a batch of 128, for which lr 0.001 would be 0.002' in found[0].right


def test_accumulated_batches_count(lint: Callable) -> None:
    text = 'optim_wrapper = dict(accumulative_counts=4)\nauto_scale_lr = dict(base_batch_size=512)'
    assert lint(CLS, text, 2) == []
    assert [f.key for f in lint(CLS, text, 1)] == ['auto_scale_lr.base_batch_size']

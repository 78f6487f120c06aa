"""Broken channels, classes, labels and rates: named with their key and what is right."""

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
# What is broken: the base, the string, and of every fault its key, what is wrong, what is right.
BROKEN: dict[str, tuple[str, str, list[tuple[str, str, str]]]] = {
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
    'channels of a classifier': (
        CLS,
        'model = dict(backbone=dict(out_indices=(2,)))',
        [('model.head.in_channels', 'is 256', 'must be 128')],
    ),
    'channels of a pixel decoder': (
        'seg/mask2former_smt_s_160k_ade20k.py',
        'model = dict(decode_head=dict(in_channels=[64, 128, 256, 256]))',
        [('model.decode_head.in_channels', 'is [64', 'must be [64, 128, 256, 512]')],
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
        [('train_dataloader.dataset.metainfo.classes', "the string 'cat'", "('cat',)")],
    ),
    'classes of the preprocessor': (
        CLS,
        'model = dict(head=dict(num_classes=5))',
        [('data_preprocessor.num_classes', 'is 10', 'must be 5')],
    ),
    'no batch for the rate': (
        CLS,
        'auto_scale_lr = dict(_delete_=True, enable=True)',
        [('auto_scale_lr.base_batch_size', 'is missing', 'lr 0.001 is for: 64')],
    ),
    'the label 0 of the data and of the pipelines': (
        SEG,
        'train_dataloader = dict(dataset=dict(reduce_zero_label=False))\n'
        'test_dataloader = dict(dataset=dict(reduce_zero_label=False))',
        [
            (f'{place}.reduce_zero_label', 'is True', f'must be False, as in {data}')
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
            ),
            ('val_evaluator.ignore_index', 'is 255', 'must be 10'),
            ('test_evaluator.ignore_index', 'is 255', 'must be 10'),
        ],
    ),
    'weights of a host for a backbone of ours': (
        SEG,
        "model = dict(pretrained='open-mmlab://resnet50_v1c')",
        [('model.pretrained', 'resnet50_v1c', 'set it to None: mmsmt.SMT loads weights with')],
    ),
    'another batch than that of the rate': (
        CLS,
        'train_dataloader = dict(batch_size=48)',
        [('auto_scale_lr.base_batch_size', 'is 64', 'lr 0.001 would be 0.00075')],
    ),
}


@pytest.mark.parametrize('name', BROKEN)
def test_names_key_and_what_is_right(assert_found: Callable, name: str) -> None:
    assert_found(*BROKEN[name])


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


def test_a_batch_that_nothing_asks_for_is_a_note(notes: Callable, lint: Callable) -> None:
    """Most configs of mmseg have none; only `--auto-scale-lr` needs it."""
    text = 'auto_scale_lr = dict(_delete_=True, enable=False)'
    assert notes(CLS, text) == {'auto_scale_lr.base_batch_size': 'is missing'}
    assert lint(CLS, text) == []


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

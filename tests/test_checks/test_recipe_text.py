"""A recipe is told in sentences with units."""

from typing import Any

import pytest
from mmengine.config import Config

from mmsmt.checks.recipe import read_recipe
from mmsmt.checks.recipe_text import describe_recipe
from mmsmt.errors import UsageError
from mmsmt.paths import carried


def told(name: str, **changes: Any) -> list[str]:
    """The sentences about a config, with 50 iterations an epoch."""
    cfg = Config.fromfile(carried('configs') / f'{name}.py')
    cfg.merge_from_dict(changes)
    return list(describe_recipe(read_recipe(cfg, 50), 50))


def test_a_detector() -> None:
    lines = told('det/mask_rcnn_smt_s_3x', **{'optim_wrapper.accumulative_counts': 4})
    text = '\n'.join(lines)
    for sentence in (
        'Trains for 36 epochs, with a validation every epoch.',
        'An epoch is assumed to have 50 iterations; --epoch-length changes this.',
        'A step takes 2 images per process and batch, gradients of 4 batches accumulated.',
        'The learning rate is meant for 16 images per step, of all processes.',
        'The optimizer is AdamW with betas [0.9, 0.999] and eps 1e-08.',
        'falls to 2e-05 at epoch 27, falls to 2e-06 at epoch 33 and ends at 2e-06.',
        'Weight decay is 0.05 for ',
        'Weight decay is 0 for ',
        'Gradients are not clipped.',
        'A training image passes through:',
    ):
        assert sentence in text
    assert '  1. LoadImageFromFile' in lines
    assert any('Resize (scale ' in line or 'RandomChoiceResize (' in line for line in lines)
    # No objects of Python among the words.
    assert not [line for line in lines if '{' in line or 'RateCurve' in line or "'" in line]


def test_a_segmenter_counts_iterations() -> None:
    lines = told('seg/upernet_smt_s_160k_ade20k')
    assert lines[0] == 'Trains for 160,000 iterations, with a validation every 16,000 iterations.'
    assert not any('--epoch-length' in line for line in lines)


def test_a_classifier_mixes_images() -> None:
    text = '\n'.join(told('cls/smt_s_in1k'))
    assert 'Images of a batch are mixed by Mixup (alpha 0.2) or CutMix (alpha 1).' in text
    assert 'Drop path (stochastic depth) goes up to a rate of ' in text


def test_without_a_schedule_the_rate_is_constant() -> None:
    cfg = Config.fromfile(carried('configs') / 'digits/cls_smt_pico.py')
    cfg.param_scheduler = None
    lines = list(describe_recipe(read_recipe(cfg, 50), 50))
    assert 'The learning rate is 0.001 throughout.' in lines


def test_a_config_that_trains_nothing() -> None:
    with pytest.raises(UsageError, match='has no train_dataloader, so it does not train'):
        read_recipe(Config(dict(model=dict(type='X'), train_cfg=dict(max_epochs=1))))

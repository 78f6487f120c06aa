"""Layer-wise rates: a factor a block, and other rules on top."""

import pytest
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from torch import nn

PICO = dict(type='mmsmt.SMT', arch='pico')


@pytest.fixture
def detector() -> nn.Module:
    """A RetinaNet on SMT-pico: depths 1, 1, 2, 1."""
    init_default_scope('mmdet')
    head = dict(
        type='RetinaHead',
        num_classes=3,
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[4, 8, 16, 32]
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
    )
    neck = dict(type='FPN', in_channels=[32, 64, 128, 256], out_channels=8, num_outs=4)
    return MODELS.build(dict(type='RetinaNet', backbone=PICO, neck=neck, bbox_head=head))


def decayed(model: nn.Module, **paramwise: object) -> dict[str, tuple[float, float]]:
    """Rate and weight decay of every parameter under layer-wise decay from rate 1."""
    wrapper = build_optim_wrapper(
        model,
        ConfigDict(
            constructor='mmsmt.LayerDecayOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
            paramwise_cfg=paramwise,
        ),
    )
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(group['params'][0])]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
    }


def test_rate_falls_by_a_factor_a_block(detector: nn.Module) -> None:
    found = decayed(detector, layer_decay_rate=0.5, norm_decay_mult=0.0)
    # Five blocks: layers 0 (stem) to 5, heads are layer 6.
    expected = {
        'bbox_head.retina_cls.weight': 1.0,
        'neck.fpn_convs.0.conv.weight': 1.0,
        'backbone.norms.3.weight': 0.5,
        'backbone.stages.3.0.ffn.fc1.weight': 0.5,
        'backbone.patch_embeds.3.proj.weight': 0.5,
        'backbone.norms.2.bias': 0.5**2,
        'backbone.stages.2.1.ffn.fc1.weight': 0.5**2,
        'backbone.stages.2.0.ffn.fc1.weight': 0.5**3,
        'backbone.patch_embeds.2.proj.weight': 0.5**3,
        'backbone.norms.0.weight': 0.5**5,
        'backbone.stages.0.0.ffn.fc1.weight': 0.5**5,
        'backbone.patch_embeds.0.conv1.weight': 0.5**6,
    }
    assert {name: found[name][0] for name in expected} == pytest.approx(expected)
    assert len(found) == len(list(detector.parameters()))
    assert found['backbone.norms.3.weight'][1] == 0.0
    assert found['backbone.stages.3.0.ffn.fc1.weight'][1] == 0.05


def test_rate_multiplies_with_other_rules(detector: nn.Module) -> None:
    rules = {'backbone.stages.3': dict(lr_mult=0.1)}
    found = decayed(detector, layer_decay_rate=0.5, custom_keys=rules)
    assert found['backbone.stages.3.0.ffn.fc1.weight'][0] == pytest.approx(0.1 * 0.5)


def test_equals_mmpretrains_constructor_on_a_classifier() -> None:
    init_default_scope('mmpretrain')
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(**PICO, out_indices=(3,)),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=10, in_channels=256),
        )
    )
    wrapper = build_optim_wrapper(
        model,
        ConfigDict(
            constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
            paramwise_cfg=dict(layer_decay_rate=0.7),
        ),
    )
    theirs = {group['param_name']: group['lr'] for group in wrapper.optimizer.param_groups}
    ours = {name: rate for name, (rate, _) in decayed(model, layer_decay_rate=0.7).items()}
    assert ours == pytest.approx(theirs)


def test_layer_decay_says_what_it_needs(detector: nn.Module) -> None:
    with pytest.raises(ValueError, match='layer_decay_rate must be above 0 and at most 1, got 2'):
        decayed(detector, layer_decay_rate=2)
    with pytest.raises(ValueError, match='needs a backbone of mmsmt, got NoneType'):
        decayed(nn.Linear(2, 2), layer_decay_rate=0.5)

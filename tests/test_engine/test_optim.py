"""Layer-wise rates, mixed precision without GPUs, clipping under FSDP: what configs ask for."""

import logging
from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from torch import nn

from mmsmt.backbones import SMT
from mmsmt.engine.arguments import apply_train_options
from mmsmt.engine.patches import replace_sharded_clipping, replace_types

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


def test_cpu_amp_computes_in_bfloat16_and_keeps_float32_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = Config(
        dict(
            optim_wrapper=dict(
                type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='SGD', lr=0.1)
            )
        )
    )
    replace_types(cfg)
    torch.manual_seed(0)
    model = SMT(arch='pico', out_indices=(3,))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    images = torch.rand(2, 3, 64, 64)
    exact = model(images)[0]
    with wrapper.optim_context(model):
        mixed = model(images)[0]
    assert not torch.equal(mixed.float(), exact)
    torch.testing.assert_close(mixed.float(), exact, rtol=0.1, atol=0.1)
    before = model.stages[0][0].ffn.fc1.weight.clone()
    wrapper.update_params(mixed.float().square().mean())
    after = model.stages[0][0].ffn.fc1.weight
    assert after.dtype == torch.float32 and not torch.equal(after, before)


def test_clipping_under_fsdp_is_exchanged_or_refused() -> None:
    def config(**wrapper: object) -> Config:
        return Config(dict(strategy=dict(type='FSDPStrategy'), optim_wrapper=wrapper))

    cfg = config(type='AmpOptimWrapper', clip_grad=dict(max_norm=5.0))
    replace_sharded_clipping(cfg)
    assert cfg.optim_wrapper.type == 'mmsmt.ShardedAmpOptimWrapper' and cfg.optim_wrapper.use_fsdp
    cfg = config(type='OptimWrapper')
    replace_sharded_clipping(cfg)
    assert cfg.optim_wrapper.type == 'OptimWrapper'
    with pytest.raises(ValueError, match='clipped by their 2-norm'):
        replace_sharded_clipping(config(clip_grad=dict(max_norm=5.0, norm_type=1)))
    with pytest.raises(ValueError, match='clipping needs one of'):
        replace_sharded_clipping(config(type='Other', clip_grad=dict(max_norm=5.0)))


@pytest.mark.parametrize(('batch', 'counts', 'factor'), [(64, 1, 1.0), (32, 1, 0.5), (16, 2, 0.5)])
def test_scaled_rate_counts_accumulated_batches(batch: int, counts: int, factor: float) -> None:
    cfg = Config(
        dict(
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=counts),
            auto_scale_lr=dict(base_batch_size=64, enable=False),
        )
    )
    off = dict(resume=None, amp=False, no_validate=False, on_bad=None)
    options = Namespace(auto_scale_lr=True, **off)
    apply_train_options(cfg, options)
    wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg.optim_wrapper)
    runner = SimpleNamespace(
        _train_dataloader=dict(batch_size=batch),
        world_size=1,
        logger=logging.getLogger(),
        param_schedulers=[],
    )
    Runner.scale_lr(runner, wrapper, cfg.auto_scale_lr)
    assert wrapper.optimizer.param_groups[0]['lr'] == pytest.approx(0.1 * factor)

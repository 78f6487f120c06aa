"""Backbones as timm models: the same numbers, and timm's interface."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import Tensor

import mmsmt
from mmsmt.apis.timm import VARIANTS
from mmsmt.errors import CheckpointError

PICO = [name for name in VARIANTS if name.endswith('_pico')]


def images(channels: int = 3) -> Tensor:
    torch.manual_seed(0)
    return torch.rand(1, channels, 64, 64)


def test_every_variant_is_registered() -> None:
    assert set(VARIANTS) <= set(timm.list_models()) and len(VARIANTS) == 45
    published = {name for name in timm.list_pretrained() if name.split('.')[0] in VARIANTS}
    assert len(published) == 6
    for name in published:
        cfg = timm.get_pretrained_cfg(name)
        assert cfg.license == 'mit' and 'AFeng-x/SMT' in cfg.url and 'AFeng-x' in cfg.origin_url


@pytest.mark.parametrize('name', PICO)
def test_features_are_those_of_the_backbone(name: str) -> None:
    network, fields = VARIANTS[name]
    model = timm.create_model(name, features_only=True, out_indices=(1, 3)).eval()
    backbone = network(**fields, out_indices=(1, 3)).eval()
    backbone.load_state_dict(model.model.backbone.state_dict())
    with torch.no_grad():
        got, expected = model(images()), backbone(images())
    assert len(got) == 2 and all(map(torch.equal, got, expected))
    assert model.feature_info.channels() == [info.channels for info in backbone.feature_info]
    assert model.feature_info.reduction() == [8, 32]


def test_early_stages_alone() -> None:
    """What later stages would have held is not in memory."""
    model = timm.create_model('smt_pico', features_only=True, out_indices=(0, 1)).train()
    assert [tuple(f.shape) for f in model(images())] == [(1, 32, 16, 16), (1, 64, 8, 8)]
    assert {name.split('.')[3] for name in model.state_dict()} == {'0', '1'}
    sum(f.mean() for f in model(images())).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('name', ['smt_pico', 'unified_halo_pico'])
def test_classifier(name: str) -> None:
    model = timm.create_model(name, num_classes=7, in_chans=1, drop_path_rate=0.3).eval()
    x = images(1)
    features = model.forward_features(x)
    pooled = model.forward_head(features, pre_logits=True)
    assert features.shape == (1, model.num_features, 2, 2)
    assert pooled.shape == (1, model.head_hidden_size)
    assert torch.equal(model(x), model.get_classifier()(pooled)) and model(x).shape == (1, 7)
    if name == 'smt_pico':
        assert torch.allclose(pooled, features.mean((2, 3)))
    assert model.backbone.stages[3][-1].drop_path.drop_prob == pytest.approx(0.3)
    model.reset_classifier(3)
    assert model(x).shape == (1, 3) and model.num_classes == 3
    model.reset_classifier(0)
    assert torch.equal(model(x), pooled)
    model.reset_classifier(0, '')
    assert model(x).shape == (1, model.head_hidden_size, 2, 2)


def test_intermediates() -> None:
    model = timm.create_model('smt_pico').eval()
    x = images()
    last, maps = model.forward_intermediates(x)
    assert len(maps) == 4 and torch.equal(last, model.forward_features(x))
    early, (second,) = model.forward_intermediates(x, [1], stop_early=True)
    assert torch.equal(early, second) and torch.equal(second, maps[1])
    (only,) = model.forward_intermediates(x, 1, intermediates_only=True)
    assert torch.equal(only, last)
    with pytest.raises(ValueError, match='NHWC'):
        model.forward_intermediates(x, output_fmt='NHWC')


def test_weights_of_mmpretrain(tmp_path: Path) -> None:
    """A checkpoint of the classifier that our configs train."""
    trained = mmsmt.get_model('unified_halo_micro_in1k')
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': trained.state_dict(), 'meta': {}}, path)
    model = timm.create_model('unified_halo_micro', checkpoint_path=str(path)).eval()
    x = images()
    with torch.no_grad():
        assert torch.allclose(model(x), trained(x, mode='tensor'), atol=1e-6)
    with pytest.raises(CheckpointError, match='holds no SMT backbone'):
        timm.create_model('smt_tiny', checkpoint_path=str(path))


def test_published_weights(released_file: Path, golden: Callable, golden_images: Callable) -> None:
    expected = torch.from_numpy(golden('golden_tiny')['224x224_logits'])
    x = golden_images(2, 224, 224)
    by_path = timm.create_model('smt_tiny', checkpoint_path=str(released_file))
    for model in (timm.create_model('smt_tiny', pretrained=True), by_path):
        with torch.no_grad():
            torch.testing.assert_close(model.eval()(x), expected, rtol=1e-4, atol=1e-4)
    grey = timm.create_model('smt_tiny.in1k', pretrained=True, in_chans=1, num_classes=5)
    assert grey.get_classifier().out_features == 5
    stem = dict(by_path.named_parameters())['backbone.patch_embeds.0.conv1.weight']
    own = dict(grey.named_parameters())['backbone.patch_embeds.0.conv1.weight']
    torch.testing.assert_close(own, stem.sum(1, keepdim=True))
    assert torch.equal(grey.backbone.norms[3].weight, by_path.backbone.norms[3].weight)


def test_without_published_weights(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match='No pretrained weights exist for sg_former_small'):
        timm.create_model('sg_former_small', pretrained=True)


def test_wrong_file_is_refused(released_file: Path, released_state: Callable) -> None:
    state = released_state('tiny')
    del state['norm4.weight']
    torch.save({'model': state}, released_file)
    with pytest.raises(CheckpointError, match=r'norms\.3\.weight'):
        timm.create_model('smt_tiny', pretrained=True)


@pytest.mark.parametrize('name', ['smt_pico', 'sg_former_pico', 'unified_window_pico'])
def test_layer_decay_is_that_of_our_optimizers(name: str) -> None:
    """timm's groups put every parameter as far from the head as `get_layer_depth` does."""
    model = timm.create_model(name)
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    scale_of = {id(p): group['lr_scale'] for group in groups for p in group['params']}
    for full, parameter in model.named_parameters():
        depth, layers = model.backbone.get_layer_depth(full, 'backbone.')
        assert scale_of[id(parameter)] == 0.5 ** (layers - 1 - depth), full


def test_no_weight_decay() -> None:
    assert timm.create_model('smt_pico').no_weight_decay() == set()
    tables = timm.create_model('unified_window_pico').no_weight_decay()
    assert len(tables) == 5 and all('relative_position' in name for name in tables)


def test_gradient_checkpointing() -> None:
    model = timm.create_model('smt_pico', drop_path_rate=0.0).train()
    model.set_grad_checkpointing()
    assert model.backbone.with_cp == (True,) * 4
    model(images()).sum().backward()
    kept = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model.set_grad_checkpointing(False)
    assert model.backbone.with_cp == (False,) * 4
    model(images()).sum().backward()
    assert all(torch.allclose(a, p.grad, atol=1e-6) for a, p in zip(kept, model.parameters()))

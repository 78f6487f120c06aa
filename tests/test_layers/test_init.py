"""Initial weights: the standard deviations of the rule, read off large layers."""

import pytest
import torch
from torch import nn

from mmsmt.layers import init_layer, init_truncated

LAYERS = [
    (nn.Linear(256, 256), 0.02),
    (nn.Conv2d(64, 64, 3), (2 / (9 * 64)) ** 0.5),
    (nn.Conv2d(512, 512, 3, groups=512), (2 / 9) ** 0.5),
    (nn.Conv2d(256, 512, 1, groups=64), (2 / 8) ** 0.5),
    (nn.Conv2d(32, 64, (1, 5), bias=False), (2 / (5 * 64)) ** 0.5),
]


@pytest.mark.parametrize('layer, std', LAYERS, ids=lambda value: type(value).__name__)
def test_standard_deviation(layer: nn.Module, std: float) -> None:
    torch.manual_seed(0)
    if layer.bias is not None:
        nn.init.ones_(layer.bias)
    init_layer(layer)
    count = layer.weight.numel()
    assert abs(layer.weight.std().item() / std - 1) < 4 / (2 * count) ** 0.5
    assert abs(layer.weight.mean().item()) < 4 * std / count**0.5
    assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize(
    'layer', [nn.Conv2d(64, 64, 3), nn.Linear(256, 256), nn.Conv2d(512, 512, 3)]
)
def test_truncated_rule_is_one_for_all(layer: nn.Module) -> None:
    torch.manual_seed(0)
    nn.init.ones_(layer.bias)
    init_truncated(layer)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert not layer.bias.any()


@pytest.mark.parametrize('norm', [nn.LayerNorm(8), nn.GroupNorm(2, 8), nn.BatchNorm2d(8)])
def test_norms_start_at_one_and_zero(norm: nn.Module) -> None:
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    init_layer(norm)
    assert (norm.weight == 1).all()
    assert (norm.bias == 0).all()


@pytest.mark.parametrize('module', [nn.PReLU(), nn.Embedding(3, 4), nn.Conv1d(3, 4, 1)])
def test_others_are_left_alone(module: nn.Module) -> None:
    before = [parameter.clone() for parameter in module.parameters()]
    init_layer(module)
    assert all(map(torch.equal, before, module.parameters()))


def test_norms_without_parameters_have_nothing_to_initialise() -> None:
    for norm in (nn.LayerNorm(4, elementwise_affine=False), nn.BatchNorm2d(4, affine=False)):
        init_layer(norm)

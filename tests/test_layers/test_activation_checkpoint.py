"""Maps that are made again in the backward pass: same gradients, less memory, no product twice."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mmsmt.layers import ConvFFN, checkpointed
from mmsmt.mixers import ScaleAwareModulation

MODULES: dict[str, Callable[[], nn.Module]] = {
    'feed-forward': lambda: ConvFFN(8, 3.0, recompute=True),
    'modulation': lambda: ScaleAwareModulation(8, num_heads=2, recompute=True),
}
NAMES = {
    'feed-forward': 'mmsmt.layers.ffn.checkpointed',
    'modulation': 'mmsmt.mixers.sam.checkpointed',
}


def kept(function: Callable[..., Tensor], *inputs: Tensor, when: bool) -> Tensor:
    return function(*inputs)


def step(module: nn.Module, x: Tensor) -> list[Tensor]:
    """Output, and gradients of input and parameters."""
    x = x.clone().requires_grad_()
    module.zero_grad(set_to_none=True)
    out = module(x)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    gradients = [p.grad for p in module.parameters()]
    assert x.grad is not None
    return [out.detach(), x.grad, *[g for g in gradients if g is not None]]


@pytest.mark.parametrize('name', MODULES)
def test_same_gradients(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module, x = MODULES[name](), torch.randn(2, 6, 5, 8)
    ours = step(module, x)
    assert len(ours) == 2 + len(list(module.parameters()))
    monkeypatch.setattr(NAMES[name], kept)
    for one, other in zip(ours, step(module, x), strict=True):
        assert torch.equal(one, other)


def activations_alive(module: nn.Module, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many outputs of GELU a forward pass leaves behind for the backward pass."""
    made: list[Any] = []

    def watched(x: Tensor) -> Tensor:
        result = gelu(x)
        made.append(weakref.ref(result))
        return result

    gelu = F.gelu
    with monkeypatch.context() as patch:
        patch.setattr(F, 'gelu', watched)
        out = module(torch.randn(2, 6, 5, 8))
    assert made
    assert out.requires_grad
    return sum(ref() is not None for ref in made)


@pytest.mark.parametrize('name', MODULES)
def test_activations_are_not_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = MODULES[name]()
    assert activations_alive(module, monkeypatch) == 0
    monkeypatch.setattr(NAMES[name], kept)
    assert activations_alive(module, monkeypatch) > 0


@pytest.mark.parametrize('name', MODULES)
def test_no_product_runs_twice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the depth-wise convolution of the feed-forward does."""
    module, x = MODULES[name](), torch.randn(2, 6, 5, 8)

    def count() -> int:
        with FlopCounterMode(display=False) as counter:
            step(module, x)
        return counter.get_total_flops()

    ours = count()
    monkeypatch.setattr(NAMES[name], kept)
    depthwise = 2 * 9 * 24 * (2 * 6 * 5) if name == 'feed-forward' else 0
    assert ours - count() == depthwise


def test_plain_call_without_gradients() -> None:
    def double(x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return 2 * x

    with torch.no_grad():
        assert checkpointed(double, torch.ones(1)).item() == 2


@pytest.mark.parametrize('name', MODULES)
def test_hooks_fire_once_by_default(name: str) -> None:
    kind = type(MODULES[name]())
    module = kind(8, 2)
    calls: list[str] = []
    for layer_name, layer in module.named_modules():
        layer.register_forward_hook(lambda *_, name=layer_name: calls.append(name))
    x = torch.randn(2, 6, 5, 8, requires_grad=True)
    module(x).sum().backward()
    assert len(calls) == len(set(calls))
    module.eval()  # a batch norm changes its statistics, which torch.func does not allow
    gradient = torch.func.grad(lambda x: module(x).square().sum())(x.detach())
    assert gradient.shape == x.shape

"""The linear layer against PyTorch's, and which library it calls."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmsmt.layers import Linear


class Operators(TorchDispatchMode):
    """Names of the operators that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.__name__.split('.')[0])
        return func(*args, **(kwargs or {}))


def plain(layer: Linear) -> nn.Linear:
    other = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    other.load_state_dict(layer.state_dict())
    return other.to(layer.weight.dtype)


def step(layer: nn.Linear, x: Tensor) -> list[Tensor]:
    """Output, and gradients of input and parameters."""
    x = x.detach().requires_grad_()
    out = layer(x)
    (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
    assert x.grad is not None
    return [out, x.grad, *[p.grad for p in layer.parameters() if p.grad is not None]]


@pytest.mark.parametrize('shape', [(6,), (1, 6), (7, 6), (2, 3, 5, 6), (2, 1, 1, 6), (0, 4, 6)])
@pytest.mark.parametrize('bias', [True, False])
def test_equals_pytorchs(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    layer, x = Linear(6, 4, bias), torch.randn(shape)
    ours, theirs = step(layer, x), step(plain(layer), x)
    assert len(ours) == len(theirs) == 3 + bias
    for one, other in zip(ours, theirs, strict=True):
        assert one.is_contiguous()
        torch.testing.assert_close(one, other)


def test_equals_pytorchs_on_a_view() -> None:
    torch.manual_seed(0)
    layer, x = Linear(6, 4), torch.randn(2, 6, 3, 5).permute(0, 2, 3, 1)[:, ::2]
    for one, other in zip(step(layer, x), step(plain(layer), x), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('case', ['float32', 'float64', 'autocast', 'switched off'])
def test_only_float32_goes_to_onednn(case: str) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip('this PyTorch was built without oneDNN')
    dtype = torch.float64 if case == 'float64' else torch.float32
    layer, x = Linear(6, 4).to(dtype), torch.randn(2, 3, 6, dtype=dtype)
    autocast = torch.autocast('cpu', torch.bfloat16, enabled=case == 'autocast')
    with torch.backends.mkldnn.flags(enabled=case != 'switched off'), autocast:
        with Operators() as operators:
            out = layer(x)
    tolerance = 0.006 if case == 'autocast' else 1e-6  # of values up to one
    torch.testing.assert_close(out.to(dtype), plain(layer)(x), rtol=0, atol=tolerance)
    assert ('convolution' in operators.names) == (case == 'float32')


def test_a_wrong_width_is_refused_as_by_pytorch() -> None:
    with pytest.raises(RuntimeError, match='cannot be multiplied'):
        Linear(6, 4)(torch.randn(2, 5))

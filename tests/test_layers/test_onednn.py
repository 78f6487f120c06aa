"""Linear layers with oneDNN against those without, and what stays as it is."""

import copy
import pickle
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmsmt.backbones import SMT
from mmsmt.layers import use_onednn_linear

PLAIN = nn.Linear.forward


class Operators(TorchDispatchMode):
    """Names of the operators that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.__name__.split('.')[0])
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def onednn() -> Iterator[None]:
    """Switch it on for one test."""
    use_onednn_linear()
    yield
    use_onednn_linear(False)


def plain(layer: nn.Linear) -> nn.Linear:
    """The same layer with PyTorch's own forward pass."""
    other = copy.deepcopy(layer)
    other.forward = lambda x: PLAIN(other, x)  # type: ignore[method-assign]
    return other


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
    layer, x = nn.Linear(6, 4, bias), torch.randn(shape)
    ours, theirs = step(layer, x), step(plain(layer), x)
    assert len(ours) == len(theirs) == 3 + bias
    for one, other in zip(ours, theirs, strict=True):
        assert one.is_contiguous()
        torch.testing.assert_close(one, other)


def test_equals_pytorchs_on_a_view() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 4), torch.randn(2, 6, 3, 5).permute(0, 2, 3, 1)[:, ::2]
    for one, other in zip(step(layer, x), step(plain(layer), x), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('case', ['float32', 'float64', 'autocast', 'switched off'])
def test_only_float32_goes_to_onednn(case: str) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip('this PyTorch was built without oneDNN')
    dtype = torch.float64 if case == 'float64' else torch.float32
    layer, x = nn.Linear(6, 4).to(dtype), torch.randn(2, 3, 6, dtype=dtype)
    autocast = torch.autocast('cpu', torch.bfloat16, enabled=case == 'autocast')
    with torch.backends.mkldnn.flags(enabled=case != 'switched off'), autocast:
        with Operators() as operators:
            out = layer(x)
    tolerance = 0.006 if case == 'autocast' else 1e-6  # of values up to one
    torch.testing.assert_close(out.to(dtype), plain(layer)(x), rtol=0, atol=tolerance)
    assert ('convolution' in operators.names) == (case == 'float32')


def test_a_wrong_width_is_refused_as_by_pytorch() -> None:
    with pytest.raises(RuntimeError, match='cannot be multiplied'):
        nn.Linear(6, 4)(torch.randn(2, 5))


def test_modules_stay_what_they_are() -> None:
    use_onednn_linear(False)
    layer, x = nn.Linear(6, 4), torch.randn(2, 6)
    want, pickled = layer(x), pickle.dumps(layer)
    use_onednn_linear()
    torch.testing.assert_close(layer(x), want)
    assert type(layer) is nn.Linear and 'forward' not in vars(layer)
    assert len(pickle.dumps(layer)) == len(pickled)
    use_onednn_linear(False)
    assert nn.Linear.forward is PLAIN and torch.equal(layer(x), want)


def test_a_backbone_can_be_quantised() -> None:
    model = SMT('pico')
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, torch.qint8)
    kind = torch.ao.nn.quantized.dynamic.Linear
    assert sum(isinstance(m, kind) for m in quantised.modules()) == len(layers) > 20


def test_layers_can_be_scripted() -> None:
    layer, x = nn.Linear(6, 4), torch.randn(2, 6)
    torch.testing.assert_close(torch.jit.script(layer)(x), layer(x))


@pytest.mark.cuda
def test_a_gpu_is_not_concerned() -> None:
    layer, x = nn.Linear(6, 4).cuda(), torch.randn(2, 3, 6).cuda()
    with Operators() as operators:
        got = layer(x)
    assert 'convolution' not in operators.names
    assert torch.equal(got, plain(layer)(x))

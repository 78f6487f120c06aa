"""Code that torch.compile generates for a GPU equals eager calls."""

import copy
import os
import shutil
from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor
from torch.utils._triton import has_triton

from mmsmt.backbones import SGFormer
from mmsmt.deploy import deploy

pytestmark = [pytest.mark.cuda, pytest.mark.slow]


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    if not has_triton():
        pytest.skip('code generation needs Triton')
    if not any(map(shutil.which, (os.environ.get('CC', ''), 'gcc', 'clang', 'cc'))):
        pytest.skip('Triton needs a C compiler; install gcc')
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def assert_near(got: Iterable[Tensor], want: Iterable[Tensor], limit: float = 1e-4) -> None:
    for a, b in zip(got, want, strict=True):
        assert ((a - b).square().mean() / b.square().mean()).sqrt().item() < limit


def test_training_equals_eager(any_pico: Callable, images: Callable, shake: Callable) -> None:
    """Outputs, statistics, and all gradients together."""
    model = shake(any_pico(layer_scale_init_value=0.5)).cuda()
    eager = copy.deepcopy(model)
    x = images().cuda()
    got, want = torch.compile(model, fullgraph=True)(x), eager(x)
    # Rounding changes the order of pixels that SG-Former sorts.
    limit = 0.05 if isinstance(model, SGFormer) else 1e-3
    assert_near(got, want, limit)
    weights = [torch.randn_like(each) for each in want]
    torch.autograd.backward(got, weights)
    torch.autograd.backward(want, weights)
    gradients = [torch.cat([p.grad.flatten() for p in m.parameters()]) for m in (model, eager)]
    assert_near(gradients[:1], gradients[1:], limit)
    for (name, a), b in zip(model.named_buffers(), eager.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=limit, atol=limit, msg=lambda m, n=name: f'{n}: {m}')


def test_the_deploy_form_equals_eager(pico: Callable, images: Callable, shake: Callable) -> None:
    deployed = deploy(shake(pico().eval())).cuda()
    compiled = torch.compile(deployed, fullgraph=True)
    x = images().cuda()
    with torch.inference_mode():
        assert_near(compiled(x), deployed(x))


def test_graphs_of_the_compiler_equal_eager(
    pico: Callable, images: Callable, shake: Callable
) -> None:
    """Recorded for one size, replayed after another was recorded."""
    model = shake(pico().eval()).cuda()
    compiled = torch.compile(model, mode='reduce-overhead', dynamic=False)
    with torch.inference_mode():
        for width in (64, 64, 64, 96, 96, 96, 64):
            x = images(2, 64, width).cuda() + width
            assert_near(tuple(each.clone() for each in compiled(x)), model(x))

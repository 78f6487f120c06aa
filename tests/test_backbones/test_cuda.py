"""Networks on a GPU compute what they compute on a CPU."""

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

pytestmark = pytest.mark.cuda


@pytest.fixture(autouse=True)
def exact_float32() -> Iterator[None]:
    """TF32 carries ten bits, which would hide faults."""
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, False
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    matmul.allow_tf32 = before


def close(got: Tensor, want: Tensor, name: str) -> None:
    assert got.is_cuda, name
    scale = want.float().square().mean().sqrt().item()
    torch.testing.assert_close(
        got.cpu(), want, rtol=1e-3, atol=1e-3 * scale, msg=lambda text: f'{name}: {text}'
    )


def test_forward_and_backward_equal_the_cpus(
    any_pico: Callable, images: Callable, loss_of: Callable, shake: Callable
) -> None:
    """Outputs, statistics, and the gradients of images and of all parameters together."""
    model = shake(any_pico(layer_scale_init_value=0.5))
    other = copy.deepcopy(model).cuda()
    x, y = images().requires_grad_(), images().cuda().requires_grad_()
    want, got = model(x), other(y)
    for stage, (a, b) in enumerate(zip(got, want, strict=True)):
        close(a, b, f'stage {stage + 1}')
    for (name, a), b in zip(other.named_buffers(), model.buffers(), strict=True):
        close(a, b, name)
    loss_of(want).backward()
    # The same weights of the loss, which are drawn on the CPU.
    loss_of(tuple(feature.cpu() for feature in got)).backward()
    close(y.grad, x.grad, 'images')
    gradients = [torch.cat([p.grad.flatten() for p in m.parameters()]) for m in (other, model)]
    close(*gradients, 'parameters')

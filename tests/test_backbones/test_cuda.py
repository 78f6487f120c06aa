"""Networks on a GPU compute what they compute on a CPU, in every precision and memory format."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mmsmt.backbones import SGFormer

pytestmark = pytest.mark.cuda

# Root mean square errors of maps and of all gradients together, as in `test_precision.py`.
LIMITS = {torch.bfloat16: (0.05, 0.1), torch.float16: (0.006, 0.015)}
# It sorts pixels by significance, and rounding changes their order.
SG_FORMER = {torch.bfloat16: (0.15, 0.3), torch.float16: (0.06, 0.15)}


def limits(model: nn.Module, dtype: torch.dtype) -> tuple[float, float]:
    return (SG_FORMER if isinstance(model, SGFormer) else LIMITS)[dtype]


def close(got: Tensor, want: Tensor, name: str) -> None:
    assert got.is_cuda, name
    scale = want.float().square().mean().sqrt().item()
    torch.testing.assert_close(
        got.cpu(), want, rtol=1e-3, atol=1e-3 * scale, msg=lambda text: f'{name}: {text}'
    )


def rms_error(got: Tensor, want: Tensor) -> float:
    got, want = got.double(), want.double()
    return ((got - want).square().mean().sqrt() / want.square().mean().sqrt()).item()


def gradient_of(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def on_cpu(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """For `loss_of`, whose weights are drawn on the CPU."""
    return tuple(feature.cpu() for feature in outputs)


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
    loss_of(on_cpu(got)).backward()
    close(y.grad, x.grad, 'images')
    close(gradient_of(other), gradient_of(model), 'parameters')


@pytest.mark.parametrize('with_cp', [False, True], ids=['plain', 'recomputed'])
@pytest.mark.parametrize('dtype', LIMITS, ids=str)
def test_mixed_precision(
    any_pico: Callable,
    images: Callable,
    loss_of: Callable,
    shake: Callable,
    dtype: torch.dtype,
    with_cp: bool,
) -> None:
    """Near float32 and finite, with a loss scale for float16; then a step of the optimizer."""
    model = shake(any_pico(with_cp=with_cp)).cuda()
    half = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(half.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler('cuda', init_scale=1024.0, enabled=dtype == torch.float16)
    x = images().cuda()
    outputs = model(x)
    loss_of(on_cpu(outputs)).backward()
    with torch.autocast('cuda', dtype):
        half_outputs = half(x)
    for stage, (got, want) in enumerate(zip(half_outputs, outputs, strict=True)):
        assert 0 < rms_error(got, want) < limits(model, dtype)[0], f'stage {stage + 1}'
    loss = loss_of(on_cpu(half_outputs)).cuda()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    error = rms_error(gradient_of(half), gradient_of(model))
    assert error < limits(model, dtype)[1], error
    before = [parameter.clone() for parameter in half.parameters()]
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == (1024.0 if dtype == torch.float16 else 1.0), 'no step was skipped'
    moved = [not torch.equal(*pair) for pair in zip(half.parameters(), before)]
    assert sum(moved) > 0.8 * len(moved)


def test_a_model_of_half_precision(any_pico: Callable, images: Callable, shake: Callable) -> None:
    model = shake(any_pico().eval()).cuda()
    x = images().cuda()
    with torch.inference_mode():
        for dtype in LIMITS:
            half = copy.deepcopy(model).to(dtype)
            for got, want in zip(half(x.to(dtype)), model(x), strict=True):
                assert got.dtype == dtype
                assert 0 < rms_error(got, want) < limits(model, dtype)[0]


def test_memory_formats(any_pico: Callable, images: Callable, shake: Callable) -> None:
    """Of images, of weights, and what the move to the GPU leaves as it was."""
    model = shake(any_pico().eval())
    strides = {name: value.stride() for name, value in model.state_dict().items()}
    model.cuda()
    assert {name: value.stride() for name, value in model.state_dict().items()} == strides
    x = images(2, 61, 97).cuda()
    last = x.contiguous(memory_format=torch.channels_last)
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    limit = 0.02 if isinstance(model, SGFormer) else 1e-4
    with torch.inference_mode():
        want = model(x)
        for got in (model(last), other(x), other(last)):
            for a, b in zip(got, want, strict=True):
                assert a.stride() == b.stride()
                assert rms_error(a, b) < limit

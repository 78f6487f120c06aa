"""Half precision, on a CPU, agrees with float32 as far as its digits go; float64 works.

Errors are root mean squares relative to the root mean square of the float32 result.
bfloat16 carries 8 bits, so 2**-9 per rounding; a network of a dozen layers adds them up.
"""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

# Stated tolerances on every stage's map, and on the gradient of all parameters together (some
# parameters alone have a gradient of zero: biases before a batch norm, the keys' bias).
MAPS = {torch.bfloat16: 0.05, torch.float16: 0.006}
GRADIENTS = {torch.bfloat16: 0.1, torch.float16: 0.01}
HALVES = [torch.bfloat16, torch.float16]


def rms_error(got: Tensor, want: Tensor) -> float:
    want = want.double()
    return ((got.double() - want).square().mean().sqrt() / want.square().mean().sqrt()).item()


def gradient_of(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_autocast(
    pico: Callable,
    images: Callable,
    loss_of: Callable,
    shake: Callable,
    dtype: torch.dtype,
    with_cp: bool,
) -> None:
    model = shake(pico(with_cp=with_cp))
    half = copy.deepcopy(model)
    outputs = model(images())
    loss_of(outputs).backward()
    with torch.autocast('cpu', dtype):
        half_outputs = half(images())
    loss_of(half_outputs).backward()
    for stage, (got, want) in enumerate(zip(half_outputs, outputs, strict=True)):
        assert got.isfinite().all()
        error = rms_error(got, want)
        assert 0 < error < MAPS[dtype], f'stage {stage}: {error}'
    assert {p.grad.dtype for p in half.parameters()} == {torch.float32}
    assert not [n for n, p in half.named_parameters() if not p.grad.isfinite().all()]
    error = rms_error(gradient_of(half), gradient_of(model))
    assert error < GRADIENTS[dtype], error


@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_model_of_half_precision(
    pico: Callable, images: Callable, loss_of: Callable, shake: Callable, dtype: torch.dtype
) -> None:
    model = shake(pico().eval())
    want = model(images())
    half = copy.deepcopy(model).to(dtype)
    outputs = half(images().to(dtype))
    for stage, (got, feature) in enumerate(zip(outputs, want, strict=True)):
        assert got.dtype == dtype
        error = rms_error(got, feature)
        assert 0 < error < MAPS[dtype], f'stage {stage}: {error}'
    loss_of(outputs).backward()
    assert not [n for n, p in half.named_parameters() if not p.grad.isfinite().all()]


def test_training_a_bfloat16_model_with_drop_path(
    any_pico: Callable, images: Callable, loss_of: Callable
) -> None:
    model = any_pico(drop_path_rate=0.2, layer_scale_init_value=1e-4).bfloat16()
    outputs = model(images().bfloat16())
    assert {f.dtype for f in outputs} == {torch.bfloat16}
    loss_of(outputs).backward()
    assert not [n for n, p in model.named_parameters() if not p.grad.isfinite().all()]


def test_float64(pico: Callable, images: Callable, loss_of: Callable, shake: Callable) -> None:
    """Also shows how far float32 itself is from the exact result."""
    model = shake(pico(drop_path_rate=0.2))
    double = copy.deepcopy(model).double()
    torch.manual_seed(0)
    want = double(images().double())
    torch.manual_seed(0)
    got = model(images())
    assert {f.dtype for f in want} == {torch.float64}
    loss_of(want).backward()
    for single, exact in zip(got, want, strict=True):
        assert rms_error(single, exact) < 1e-5


def test_gradients_are_those_of_the_function(
    pico: Callable, loss_of: Callable, shake: Callable
) -> None:
    """A finite difference along a random direction through all parameters, in float64."""
    model = shake(pico(layer_scale_init_value=0.5)).double()
    x = torch.randn(2, 3, 24, 40, dtype=torch.float64)

    def loss() -> Tensor:
        # In float64 throughout: `loss_of` rounds to float32.
        return sum((f * f.detach().cos().sign()).sin().mean() for f in model(x))

    generator = torch.Generator().manual_seed(0)
    parameters = list(model.parameters())
    directions = [
        torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters
    ]
    loss().backward()
    slope = sum((p.grad * d).sum() for p, d in zip(parameters, directions)).item()
    values = []
    with torch.no_grad():
        for step in (1e-6, -1e-6):
            for p, d in zip(parameters, directions):
                p.add_(d, alpha=step)
            values.append(loss().item())
            for p, d in zip(parameters, directions):
                p.sub_(d, alpha=step)
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(slope, rel=1e-4)

"""The compiled operators have no CPU form: the reference is the definition, in loops."""

from importlib import import_module
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmsmt.ops import carafe

host = import_module('mmcv.ops.carafe')  # as an attribute, the name is a function

# Kernel size, groups, scale, height and width of the features.
CASES = [(3, 1, 2, 3, 4), (5, 2, 2, 2, 3), (3, 2, 3, 2, 2), (1, 1, 1, 3, 2), (3, 4, 1, 1, 2)]


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, 'ext_module', carafe)


def inputs(
    kernel: int, groups: int, scale: int, height: int, width: int, batch: int = 2
) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    features = torch.randn(batch, 4, height, width, dtype=torch.float64)
    size = (height * scale, width * scale)
    return features, torch.randn(batch, kernel**2 * groups, *size, dtype=torch.float64)


def by_loops(features: Tensor, masks: Tensor, kernel: int, groups: int, scale: int) -> Tensor:
    n, channels, height, width = features.shape
    output = features.new_zeros(n, channels, height * scale, width * scale)
    for i, c, y, x in product(*map(range, output.shape)):
        group = c // (channels // groups)
        for row, column in product(range(kernel), range(kernel)):
            v, u = y // scale + row - kernel // 2, x // scale + column - kernel // 2
            if 0 <= v < height and 0 <= u < width:
                weight = masks[i, (group * kernel + row) * kernel + column, y, x]
                output[i, c, y, x] += weight * features[i, c, v, u]
    return output


@pytest.mark.parametrize('case', CASES)
def test_equals_loops_over_pixels(case: tuple[int, ...]) -> None:
    features, masks = inputs(*case)
    wanted = by_loops(features, masks, *case[:3])
    for function in (host.carafe, host.carafe_naive):
        assert_close(function(features, masks, *case[:3]), wanted)
        found = function(features.float(), masks.float(), *case[:3])
        assert_close(found, wanted.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('case', CASES)
def test_gradients_are_those_of_finite_differences(case: tuple[int, ...]) -> None:
    leaves = [t.requires_grad_() for t in inputs(*case, batch=1)]
    assert torch.autograd.gradcheck(lambda f, m: host.carafe(f, m, *case[:3]), leaves)


def test_naive_gradients_add_up() -> None:  # mmcv lets them run on GPUs only
    case = CASES[1]
    features, masks = (t.requires_grad_() for t in inputs(*case))
    output = host.carafe(features, masks, *case[:3])
    grad = torch.randn_like(output)
    output.backward(grad)
    by_features, by_masks = torch.ones_like(features), torch.ones_like(masks)
    carafe.carafe_naive_backward(grad, features, masks, by_features, by_masks, *case[:3])
    assert_close(by_features, features.grad + 1)
    assert_close(by_masks, masks.grad + 1)


@pytest.mark.parametrize(('dtype', 'bits'), [(torch.float16, 10), (torch.bfloat16, 7)])
def test_half_types_are_the_float32_result_rounded_once(dtype: torch.dtype, bits: int) -> None:
    case = CASES[0]
    halves = [t.to(dtype).requires_grad_() for t in inputs(*case)]
    floats = [t.detach().float().requires_grad_() for t in halves]
    first, second = (host.carafe(f, m, *case[:3]) for f, m in (halves, floats))
    assert_close(first.float(), second, rtol=2.0**-bits, atol=1e-6)
    found = torch.autograd.grad(first, halves, torch.ones_like(first))
    wanted = torch.autograd.grad(second, floats, torch.ones_like(second))
    for one, other in zip(found, wanted):
        assert one.dtype == dtype
        assert_close(one.float(), other, rtol=2.0**-bits, atol=1e-6)


def test_no_images() -> None:
    features, masks = (t.requires_grad_() for t in inputs(*CASES[0], batch=0))
    host.carafe(features, masks, *CASES[0][:3]).sum().backward()
    assert features.grad.shape == features.shape and masks.grad.shape == masks.shape


def test_forward_leaves_channels_last_features_for_the_backward() -> None:
    features, masks = inputs(*CASES[0])
    buffers = [torch.zeros_like(features) for _ in range(3)]
    output = torch.zeros(2, 4, 6, 8, dtype=features.dtype)
    carafe.carafe_forward(features, masks, *buffers, output, *CASES[0][:3])
    assert_close(buffers[0], features.permute(0, 2, 3, 1), rtol=0, atol=0)


def test_layer_of_mmcv_learns() -> None:
    torch.manual_seed(0)
    layer = host.CARAFEPack(4, 2)
    layer(torch.randn(1, 4, 3, 4)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name

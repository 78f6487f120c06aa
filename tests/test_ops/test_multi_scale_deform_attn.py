"""The compiled operator has no CPU form: the references are loops, and mmcv's own CPU function."""

from itertools import product
from math import floor

import mmcv.ops.multi_scale_deform_attn as host
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmsmt.ops import multi_scale_deform_attn

SHAPES = ((3, 4), (2, 2), (1, 3))


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, 'ext_module', multi_scale_deform_attn)


def inputs(
    batch: int = 2, queries: int = 3, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Value, shapes, starts, locations from -0.3 to 1.3, weights: 2 heads, 3 dims, 2 points."""
    torch.manual_seed(0)
    sizes = torch.tensor([h * w for h, w in SHAPES])
    value = torch.randn(batch, int(sizes.sum()), 2, 3, dtype=dtype)
    locations = 1.6 * torch.rand(batch, queries, 2, len(SHAPES), 2, 2, dtype=dtype) - 0.3
    weights = torch.randn(batch, queries, 2, len(SHAPES), 2, dtype=dtype)
    return value, torch.tensor(SHAPES), sizes.cumsum(0) - sizes, locations, weights


def attend(*args: Tensor, step: int = 64) -> Tensor:
    """Through mmcv's autograd function."""
    return host.MultiScaleDeformableAttnFunction.apply(*args, step)


def by_loops(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """Every sample by itself."""
    batch, _, heads, dims = value.shape
    _, queries, _, _, points, _ = locations.shape
    output = value.new_zeros(batch, queries, heads, dims)
    places = product(*map(range, (batch, queries, heads, len(SHAPES), points)))
    for n, q, head, level, point in places:
        height, width = SHAPES[level]
        start = sum(h * w for h, w in SHAPES[:level])
        x = float(locations[n, q, head, level, point, 0]) * width - 0.5
        y = float(locations[n, q, head, level, point, 1]) * height - 0.5
        for i, j in product((floor(y), floor(y) + 1), (floor(x), floor(x) + 1)):
            if 0 <= i < height and 0 <= j < width:
                share = (1 - abs(y - i)) * (1 - abs(x - j)) * weights[n, q, head, level, point]
                output[n, q, head] += share * value[n, start + i * width + j, head]
    return output.flatten(2)


def test_equals_loops_over_samples() -> None:
    value, shapes, starts, locations, weights = inputs()
    wanted = by_loops(value, locations, weights)
    assert_close(attend(value, shapes, starts, locations, weights), wanted)
    args = (value.float(), shapes, starts, locations.float(), weights.float())
    assert_close(attend(*args), wanted.float(), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    value, shapes, starts, locations, weights = inputs(batch=1, queries=2)
    for tensor in (value, locations, weights):
        tensor.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v, s, w: attend(v, shapes, starts, s, w), (value, locations, weights)
    )


def test_equals_mmcvs_function_for_cpus() -> None:
    value, shapes, starts, locations, weights = inputs(queries=20, dtype=torch.float32)
    leaves = [t.requires_grad_() for t in (value, locations, weights)]
    first = attend(value, shapes, starts, locations, weights)
    second = host.multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    assert_close(first, second, rtol=1e-5, atol=1e-5)
    grad = torch.randn_like(first)
    found, wanted = (torch.autograd.grad(o, leaves, grad) for o in (first, second))
    assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_steps_of_one_image_give_the_same() -> None:
    args = inputs(batch=4)
    assert_close(attend(*args, step=1), attend(*args))
    with pytest.raises(RuntimeError, match='im2col_step'):
        attend(*args, step=3)


@pytest.mark.parametrize(('batch', 'queries'), [(0, 3), (2, 0)])
def test_nothing_to_attend(batch: int, queries: int) -> None:
    args = inputs(batch, queries, torch.float32)
    args[0].requires_grad_()
    output = attend(*args)
    assert output.shape == (batch, queries, 6)
    output.sum().backward()
    assert not args[0].grad.any()


def test_locations_that_are_no_place_give_nothing() -> None:
    value, shapes, starts, locations, weights = inputs()
    far = torch.tensor([float('nan'), float('inf'), -1e30, 1e30], dtype=locations.dtype)
    locations = far[torch.arange(locations.numel()) % 4].view_as(locations).requires_grad_()
    output = attend(value, shapes, starts, locations, weights)
    assert not output.any()
    output.sum().backward()
    assert not locations.grad.any()


def test_locations_exactly_one_pixel_outside_have_no_slope() -> None:
    value, shapes, starts, locations, weights = inputs()
    outside = torch.full_like(locations, 0.5)
    half = 0.5 / shapes[:, 1, None].double()
    outside[..., 0] = -half  # pixel -1; grid_sample has a slope there
    outside[:, 1:, ..., 0] = 1 + half  # the number of pixels
    outside.requires_grad_()
    output = attend(value, shapes, starts, outside, weights)
    output.sum().backward()
    assert not output.any() and not outside.grad.any()


@pytest.mark.parametrize(('dtype', 'bits'), [(torch.float16, 10), (torch.bfloat16, 7)])
def test_half_types_are_the_float32_result_rounded_once(dtype: torch.dtype, bits: int) -> None:
    value, shapes, starts, locations, weights = inputs(dtype=torch.float32)
    halves = [t.to(dtype).requires_grad_() for t in (value, locations, weights)]
    floats = [t.detach().float().requires_grad_() for t in halves]
    first, second = (attend(v, shapes, starts, s, w) for v, s, w in (halves, floats))
    assert_close(first.float(), second, rtol=2.0**-bits, atol=1e-6)
    found = torch.autograd.grad(first, halves, torch.ones_like(first))
    wanted = torch.autograd.grad(second, floats, torch.ones_like(second))
    for one, other in zip(found, wanted):
        assert one.dtype == dtype
        assert_close(one.float(), other, rtol=2.0**-bits, atol=1e-6)


def test_gradient_of_value_adds_up_and_the_others_do_not() -> None:
    value, shapes, starts, locations, weights = inputs()
    args = (value, shapes, starts, locations, weights)
    grads = [[torch.full_like(t, c) for t in (value, locations, weights)] for c in (0, 1)]
    for some in grads:
        grad = torch.ones(2, 3, 6, dtype=value.dtype)
        multi_scale_deform_attn.ms_deform_attn_backward(*args, grad, *some, im2col_step=64)
    assert_close(grads[1][0], grads[0][0] + 1)
    assert_close(grads[1][1:], grads[0][1:])


def test_layer_of_mmcv_is_the_same_on_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = host.MultiScaleDeformableAttention(8, 2, 3, 2, batch_first=True, dropout=0.0)
    _, shapes, starts, _, _ = inputs()
    keys = int(shapes.prod(1).sum())
    query, points = torch.randn(2, keys, 8), torch.rand(2, keys, 3, 2)
    named = {'reference_points': points, 'spatial_shapes': shapes, 'level_start_index': starts}
    wanted = layer(query, **named)
    monkeypatch.setattr(
        host,
        'multi_scale_deformable_attn_pytorch',
        lambda v, shapes, s, w: attend(v, shapes, starts, s, w),
    )
    assert_close(layer(query, **named), wanted, rtol=1e-5, atol=1e-5)

import mmcv.ops.modulated_deform_conv
import pytest
import torch
from mmcv.ops import ModulatedDeformConv2dPack
from operator_references.convolutions import (
    CONVOLUTIONS,
    convolution_inputs,
    load,
    run_convolution,
)
from torch.testing import assert_close

from mmsmt.ops import modulated_deform_conv

GOLDEN = load('modulated_deform_conv')


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmcv.ops.modulated_deform_conv, 'ext_module', modulated_deform_conv)


@pytest.mark.parametrize('name', GOLDEN)
def test_equals_the_compiled_operator(name: str) -> None:
    case = CONVOLUTIONS[name]
    found = run_convolution(case, convolution_inputs(case, modulated=True))
    assert found.keys() == GOLDEN[name].keys()
    for quantity, wanted in GOLDEN[name].items():
        # Sums of some ten products of about 1 in another order.
        assert_close(found[quantity], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('dtype', 'bits'), [(torch.float16, 10), (torch.bfloat16, 7)])
def test_half_types_are_the_float32_result_rounded_once(dtype: torch.dtype, bits: int) -> None:
    case = CONVOLUTIONS['plain']
    inputs = {k: v.to(dtype) for k, v in convolution_inputs(case, modulated=True).items()}
    found = run_convolution(case, inputs)
    wanted = run_convolution(case, {k: v.float() for k, v in inputs.items()})
    for quantity, tensor in found.items():
        assert tensor.dtype == dtype
        assert_close(tensor.float(), wanted[quantity], rtol=2.0**-bits, atol=1e-6)


def test_gradients_of_input_weight_and_bias_add_up_and_the_others_do_not() -> None:
    case = CONVOLUTIONS['plain']
    inputs = convolution_inputs(case, modulated=True)
    once = run_convolution(case, inputs)
    names = ('input', 'weight', 'bias', 'offset', 'mask')
    x, weight, bias, offset, mask = (inputs[k] for k in names)
    grads = {k: torch.ones_like(inputs[k]) for k in names}
    none = torch.empty(0)
    modulated_deform_conv.modulated_deform_conv_backward(
        x, weight, bias, none, offset, mask, none,
        *grads.values(), inputs['grad'], 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, True
    )  # fmt: skip
    for name, grad in grads.items():
        adds = name in ('input', 'weight', 'bias')
        assert_close(grad, once[f'by_{name}'] + adds, msg=lambda m, name=name: f'{name}: {m}')


def test_channels_of_another_number_are_a_runtime_error() -> None:
    x, offset, mask = torch.zeros(1, 4, 4, 5), torch.zeros(1, 18, 4, 5), torch.zeros(1, 9, 4, 5)
    function = mmcv.ops.modulated_deform_conv2d
    with pytest.raises(RuntimeError, match='channels'):
        function(x, offset, mask, torch.zeros(4, 3, 3, 3), None, 1, 1)
    with pytest.raises(RuntimeError):
        function(x, offset, mask[:, :8], torch.zeros(4, 4, 3, 3), None, 1, 1)


def test_of_larger_maps_the_first_values_count() -> None:
    """As in compiled mmcv (no difference in any bit), for DyHead of mmdet."""
    generator = torch.Generator().manual_seed(0)
    x, weight, maps = (
        torch.randn(shape, generator=generator).requires_grad_()
        for shape in ((2, 4, 4, 5), (3, 4, 3, 3), (2, 27, 8, 10))
    )
    function = mmcv.ops.modulated_deform_conv2d
    offset, mask = maps[:, :18], maps[:, 18:].sigmoid()
    found = function(x, offset, mask, weight, None, 1, 1)
    first = [t.flatten(1)[:, : t.shape[1] * 20].reshape(2, -1, 4, 5) for t in (offset, mask)]
    wanted = function(x, *first, weight, None, 1, 1)
    assert_close(found, wanted, rtol=0, atol=0)
    leaves = (x, weight, maps)
    grads = [
        torch.autograd.grad(y.square().sum(), leaves, retain_graph=True) for y in (found, wanted)
    ]
    assert all(grad.abs().sum() > 0 for grad in grads[0])
    assert_close(*grads, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match=r'\(4, 4\) for an output \(4, 5\)'):
        function(x, offset[:, :, :4, :4], mask, weight, None, 1, 1)


def test_kernel_that_is_not_the_weights_is_a_runtime_error() -> None:
    x, offset, mask = torch.zeros(1, 4, 4, 5), torch.zeros(1, 18, 4, 5), torch.zeros(1, 9, 4, 5)
    none, weight = torch.empty(0), torch.zeros(4, 4, 3, 3)
    with pytest.raises(RuntimeError, match='kernel'):
        modulated_deform_conv.modulated_deform_conv_forward(
            x, weight, none, none, offset, mask, x.clone(), none,
            2, 3, 1, 1, 1, 1, 1, 1, 1, 1, False
        )  # fmt: skip


def test_layer_of_mmcv_learns() -> None:
    torch.manual_seed(0)
    layer = ModulatedDeformConv2dPack(4, 6, 3, padding=1, deform_groups=2)
    layer(torch.randn(2, 4, 5, 6)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name

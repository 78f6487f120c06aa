import mmcv.ops.deform_conv
import pytest
import torch
from operator_references.convolutions import (
    CONVOLUTIONS,
    Convolution,
    convolution_inputs,
    load,
    run_convolution,
)
from torch.testing import assert_close

from mmsmt.ops import deform_conv

GOLDEN = load('deform_conv')


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmcv.ops.deform_conv, 'ext_module', deform_conv)


@pytest.mark.parametrize('name', GOLDEN)
def test_equals_the_compiled_operator(name: str) -> None:
    case = CONVOLUTIONS[name]
    found = run_convolution(case, convolution_inputs(case, modulated=False))
    for quantity, wanted in GOLDEN[name].items():
        # Sums of some ten products of about 1 in another order.
        assert_close(found[quantity], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('dtype', 'bits'), [(torch.float16, 10), (torch.bfloat16, 7)])
def test_half_types_are_the_float32_result_rounded_once(dtype: torch.dtype, bits: int) -> None:
    case = CONVOLUTIONS['plain']
    inputs = {k: v.to(dtype) for k, v in convolution_inputs(case, modulated=False).items()}
    found = run_convolution(case, inputs)
    wanted = run_convolution(case, {k: v.float() for k, v in inputs.items()})
    for quantity, tensor in found.items():
        assert tensor.dtype == dtype
        assert_close(tensor.float(), wanted[quantity], rtol=2.0**-bits, atol=1e-6)


def test_gradients_of_input_and_weight_add_up_and_that_of_offset_does_not() -> None:
    case = CONVOLUTIONS['groups']
    inputs = convolution_inputs(case, modulated=False)
    once = run_convolution(case, inputs)
    x, offset, weight, grad = (inputs[k] for k in ('input', 'offset', 'weight', 'grad'))
    by_input, by_offset, by_weight = (torch.ones_like(t) for t in (x, offset, weight))
    none = torch.empty(0)
    places = (3, 3, 1, 1, 1, 1, 1, 1, case.groups, 1)
    deform_conv.deform_conv_backward_input(
        x, offset, grad, by_input, by_offset, weight, none, *places, im2col_step=1
    )
    deform_conv.deform_conv_backward_parameters(
        x, offset, grad, by_weight, none, none, *places, scale=2, im2col_step=1
    )
    assert_close(by_input, once['by_input'] + 1)
    assert_close(by_offset, once['by_offset'])
    assert_close(by_weight, 2 * once['by_weight'] + 1)


def test_channels_last_input_gives_the_same() -> None:
    case = CONVOLUTIONS['plain']
    inputs = convolution_inputs(case, modulated=False)
    wanted = run_convolution(case, inputs)
    inputs = {k: v.contiguous(memory_format=torch.channels_last) for k, v in inputs.items()}
    assert_close(run_convolution(case, inputs), wanted)


def test_autocast_around_the_backward_does_not_round() -> None:
    case = CONVOLUTIONS['plain']
    inputs = convolution_inputs(case, modulated=False)
    wanted = run_convolution(case, inputs)
    with torch.autocast('cpu', torch.bfloat16):
        assert_close(run_convolution(case, inputs), wanted)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'weight': (4, 4, 3)}, '4D weight'),
        ({'weight': (4, 4, 2, 3)}, 'not the weight'),
        ({'weight': (4, 3, 3, 3)}, 'input planes'),
        ({'input': (4, 4, 5)}, '4D input'),
        ({'input': (1, 4, 2, 5)}, 'smaller than kernel'),
        ({'input': (1, 4, 0, 5)}, 'too small'),
        ({'offset': (1, 18, 4, 4)}, 'spatial size of offset'),
        ({'offset': (1, 9, 4, 5)}, 'offset channels'),
        ({'offset': (2, 18, 4, 5)}, 'batch size of offset'),
        ({'dW': 0}, 'stride'),
        ({'dilationH': 0}, 'dilation'),
        ({'kH': 0}, 'kernel size'),
        ({'deformable_group': 3}, 'deformable group'),
        ({'im2col_step': 2}, 'im2col_step'),
    ],
)
def test_what_does_not_fit_is_a_runtime_error(change: dict, message: str) -> None:
    shapes = {'input': (1, 4, 4, 5), 'weight': (4, 4, 3, 3), 'offset': (1, 18, 4, 5)}
    numbers = dict.fromkeys(('kW', 'kH'), 3) | dict.fromkeys(
        ('dW', 'dH', 'padW', 'padH', 'dilationW', 'dilationH', 'group', 'deformable_group'), 1
    )
    shapes |= {k: v for k, v in change.items() if k in shapes}
    numbers |= {'im2col_step': 1} | {k: v for k, v in change.items() if k not in shapes}
    tensors = {k: torch.zeros(v) for k, v in shapes.items()}
    with pytest.raises(RuntimeError, match=message):
        deform_conv.deform_conv_forward(
            tensors['input'],
            tensors['weight'],
            tensors['offset'],
            torch.zeros(1, 4, 4, 5),
            torch.empty(0),
            torch.empty(0),
            **numbers,
        )


def test_gradient_of_another_shape_is_a_runtime_error() -> None:
    x, offset, weight = torch.zeros(1, 4, 4, 5), torch.zeros(1, 18, 4, 5), torch.zeros(4, 4, 3, 3)
    none = torch.empty(0)
    with pytest.raises(RuntimeError, match='gradOutput'):
        deform_conv.deform_conv_backward_parameters(
            x, offset, x[:, :3], weight, none, none, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1.0, 1
        )


def test_module_of_mmcv_pads_images_smaller_than_the_kernel() -> None:
    layer = mmcv.ops.DeformConv2d(2, 3, 3, padding=1)
    assert layer(torch.randn(1, 2, 2, 4), torch.zeros(1, 18, 2, 4)).shape == (1, 3, 2, 4)


def test_without_offsets_it_is_a_convolution() -> None:
    case = Convolution(reach=0.0, groups=2)
    inputs = convolution_inputs(case, modulated=False)
    wanted = torch.nn.functional.conv2d(inputs['input'], inputs['weight'], padding=1, groups=2)
    assert_close(run_convolution(case, inputs)['output'], wanted)

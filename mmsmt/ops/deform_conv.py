"""Deformable convolution, version 1 (https://arxiv.org/abs/1703.06211)."""

import torch
from torch import Tensor

from mmsmt.ops.deformable import Geometry, check, convolve, gradients, seen_by_taps, working_type


def _check_shapes(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor | None,
    weight: Tensor,
    kernel: tuple[int, int],
    geometry: Geometry,
    step: int,
) -> None:
    check(weight.dim() == 4, f'4D weight tensor expected, but got: {weight.dim()}')
    check(min(kernel) > 0, f'kernel size should be greater than zero, but got {kernel}')
    check(tuple(weight.shape[2:]) == kernel, f"kernel size {kernel} is not the weight's")
    check(min(geometry[:2]) > 0, f'stride should be greater than zero, but got {geometry[:2]}')
    check(min(geometry[4:6]) > 0, f'dilation should be greater than 0, but got {geometry[4:6]}')
    check(input.dim() == 4, f'4D input tensor expected but got: {input.dim()}')
    batch, channels, height, width = input.shape
    planes = weight.shape[1] * geometry.groups
    check(planes % geometry.offset_groups == 0, 'input channels must divide deformable group size')
    out = geometry.output_size(height, width, kernel)
    check(min(out) >= 1, f'Calculated output size: {out}. Output size is too small')
    check(channels == planes, f'invalid number of input planes, {planes} expected, got: {channels}')
    check(height >= kernel[0] and width >= kernel[1], 'input image is smaller than kernel')
    check(tuple(offset.shape[2:]) == out, f'invalid spatial size of offset, expected {out}')
    taps = kernel[0] * kernel[1]
    check(offset.shape[1] == geometry.offset_groups * 2 * taps, 'invalid number of offset channels')
    check(len(offset) == batch, 'invalid batch size of offset')
    check(step > 0 and batch % step == 0, 'batch size must be divisible by im2col_step')
    if grad_output is not None:
        wanted = (batch, len(weight), *out)
        check(tuple(grad_output.shape) == wanted, f'gradOutput should have shape {wanted}')


@torch.no_grad()
def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill `output` (N, O, H', W'), `im2col_step` images at a time.

    `columns` and `ones` are buffers of the compiled operator, and are not used.

    Raises:
        RuntimeError: If shapes do not fit together.
    """
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    _check_shapes(input, offset, None, weight, (kH, kW), geometry, im2col_step)
    for start in range(0, len(input), im2col_step):
        part = slice(start, start + im2col_step)
        output[part] = convolve(input[part], weight, offset[part], None, None, geometry)


@torch.no_grad()
def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Add to `gradInput` and fill `gradOffset`, as the compiled operator does.

    Raises:
        RuntimeError: If shapes do not fit together.
    """
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    _check_shapes(input, offset, gradOutput, weight, (kH, kW), geometry, im2col_step)
    for start in range(0, len(input), im2col_step):
        part = slice(start, start + im2col_step)
        grads = gradients(gradOutput[part], input[part], weight, offset[part], None, geometry)
        gradInput[part] += grads[0]
        gradOffset[part] = grads[2]


@torch.no_grad()
def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add `scale` times the gradient to `gradWeight` (O, C / groups, kH, kW).

    Raises:
        RuntimeError: If shapes do not fit together.
    """
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    _check_shapes(input, offset, gradOutput, gradWeight, (kH, kW), geometry, im2col_step)
    shape = (group, len(gradWeight) // group, gradWeight[0].numel())
    total = gradWeight.new_zeros(shape, dtype=working_type(input))
    for image, shift, grad in zip(input, offset, gradOutput):
        seen = seen_by_taps(image[None], shift[None], (kH, kW), geometry)
        grad = grad.to(total.dtype).reshape(group, shape[1], -1)
        # In place, because autocast keeps the type of in-place operations.
        total.baddbmm_(grad, seen.view(group, shape[2], -1).transpose(1, 2))
    gradWeight += scale * total.view_as(gradWeight)

"""Deformable convolution, version 2 (https://arxiv.org/abs/1811.11168).

Each tap has its own factor, `mask`, and the result may have a bias.
"""

import torch
from torch import Tensor

from mmsmt.ops.deformable import Geometry, check, convolve, gradients


def _check_shapes(input: Tensor, weight: Tensor, kernel: tuple[int, int], group: int) -> None:
    check(tuple(weight.shape[2:]) == kernel, f'kernel {kernel} is not that of {weight.shape}')
    planes = weight.shape[1] * group
    check(input.shape[1] == planes, f'input has {input.shape[1]} channels, weight needs {planes}')


def _fitted(maps: Tensor, size: torch.Size) -> Tensor:
    """Fit offsets or masks (N, C, H, W) to the size (H', W') of the output.

    From larger maps the compiled operator reads the first C * H' * W' values of each image,
    regardless of their positions. DyHead of mmdet relies on this, because two levels of different
    sizes share offsets.
    """
    if maps.shape[2:] == size:
        return maps
    larger = maps.shape[2:].numel() >= size.numel()
    check(larger, f'offsets or masks {tuple(maps.shape[2:])} for an output {tuple(size)}')
    channels = maps.shape[1]
    return maps.flatten(1)[:, : channels * size.numel()].unflatten(1, (channels, *size))


def _fill(grad: Tensor, values: Tensor) -> None:
    """Undo `_fitted` for gradients; values that were not read get none."""
    flat = grad.new_zeros(grad.numel())
    flat[: values.numel()] = values.flatten()
    grad.copy_(flat.view(grad.shape))


@torch.no_grad()
def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill `output` (N, O, H', W') one image at a time, as the compiled operator, to save memory.

    Args:
        input: (N, C, H, W).
        weight: (O, C / group, kernel_h, kernel_w).
        bias: (O,); ignored without `with_bias`.
        ones: Buffer of the compiled operator, not used.
        offset: (N, deformable_group * kernel_h * kernel_w * 2, H', W'), (y, x) in pixels; for
            larger maps see `_fitted`.
        mask: (N, deformable_group * kernel_h * kernel_w, H', W'), or larger like `offset`.
        output: Filled in place.
        columns: Buffer of the compiled operator, not used.
        kernel_h: Height of `weight`.
        kernel_w: Width of `weight`.
        stride_h: Vertical stride in pixels.
        stride_w: Horizontal stride.
        pad_h: Vertical padding.
        pad_w: Horizontal padding.
        dilation_h: Vertical dilation.
        dilation_w: Horizontal dilation.
        group: Groups of `weight`.
        deformable_group: Groups of input channels with separate offsets.
        with_bias: Whether to add `bias`.

    Raises:
        RuntimeError: If shapes do not fit together.
    """
    _check_shapes(input, weight, (kernel_h, kernel_w), group)
    geometry = Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group
    )
    offset, mask = (_fitted(maps, output.shape[2:]) for maps in (offset, mask))
    used_bias = bias if with_bias else None
    for i in range(len(input)):
        part = slice(i, i + 1)
        args = (input[part], weight, offset[part], mask[part])
        output[part] = convolve(*args, used_bias, geometry)


@torch.no_grad()
def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Add to the gradients of input, weight and bias; fill those of offset and mask.

    As in the compiled operator. See `modulated_deform_conv_forward` for the arguments.

    Raises:
        RuntimeError: If shapes do not fit together.
    """
    _check_shapes(input, weight, (kernel_h, kernel_w), group)
    geometry = Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group
    )
    offset, mask = (_fitted(maps, grad_output.shape[2:]) for maps in (offset, mask))
    weights = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
    biases = weights.new_zeros(len(weight))
    for i in range(len(input)):  # half precision would round the sum at each image
        part = slice(i, i + 1)
        args = (grad_output[part], input[part], weight, offset[part], mask[part], geometry)
        by_input, by_weight, by_offset, by_mask, by_bias = gradients(*args)
        grad_input[part] += by_input
        _fill(grad_offset[i], by_offset)
        _fill(grad_mask[i], by_mask)
        weights += by_weight
        biases += by_bias
    grad_weight += weights
    if with_bias:
        grad_bias += biases

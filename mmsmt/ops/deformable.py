"""Deformable convolution and its gradients on torchvision's operators, for both versions of mmcv.

`offset` has, for each group of input channels, a shift (y, x) in pixels for every tap.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d


class Geometry(NamedTuple):
    """Positions of the taps, in the order of torchvision's arguments."""

    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    offset_groups: int

    def output_size(self, height: int, width: int, kernel: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of the output."""
        reach_h = self.dilation_h * (kernel[0] - 1) + 1
        reach_w = self.dilation_w * (kernel[1] - 1) + 1
        return (
            (height + 2 * self.pad_h - reach_h) // self.stride_h + 1,
            (width + 2 * self.pad_w - reach_w) // self.stride_w + 1,
        )


def check(condition: bool, message: str) -> None:
    """Raise the compiled operators' error unless a condition holds.

    Raises:
        RuntimeError: If the condition does not hold.
    """
    if not condition:
        raise RuntimeError(message)


def working_type(tensor: Tensor) -> torch.dtype:
    """Return the type to compute in: float16 only on GPUs; on CPUs float32 is faster and exact."""
    if tensor.dtype == torch.float64 or (tensor.dtype == torch.float16 and tensor.is_cuda):
        return tensor.dtype
    return torch.float32


def convolve(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Compute a deformable convolution of (N, C, H, W) in the type of `working_type`.

    Args:
        input: (N, C, H, W).
        weight: (O, C / groups, kH, kW).
        offset: (N, offset_groups * kH * kW * 2, H', W'), pixels.
        mask: (N, offset_groups * kH * kW, H', W'), or None for ones.
        bias: (O,), or None for zeros.
        geometry: Strides, padding and dilation; groups follow from the shapes.

    Returns:
        (N, O, H', W').
    """
    kind = working_type(input)
    return deform_conv2d(
        input.to(kind),
        offset.to(kind),
        weight.to(kind),
        None if bias is None else bias.to(kind),
        geometry[0:2],
        geometry[2:4],
        geometry[4:6],
        None if mask is None else mask.to(kind),
    )


def gradients(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    geometry: Geometry,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients of `convolve` by input, weight, offset, mask and bias.

    Args:
        grad_output: (N, O, H', W').
        input: See `convolve`.
        weight: See `convolve`.
        offset: See `convolve`.
        mask: See `convolve`.
        geometry: See `convolve`.
    """
    kind = working_type(input)
    offset = offset.to(kind)
    grads = torch.ops.torchvision._deform_conv2d_backward(
        grad_output.to(kind).contiguous(),
        input.to(kind),
        weight.to(kind),
        offset,
        input.new_zeros(len(input), 1, dtype=kind) if mask is None else mask.to(kind),
        input.new_zeros(len(weight), dtype=kind),
        *geometry,
        mask is not None,
    )
    kernel = (weight.shape[2], weight.shape[3])
    grads[2].masked_fill_(_outside(offset, input.shape, kernel, geometry), 0)
    return grads


def _outside(
    offset: Tensor, shape: torch.Size, kernel: tuple[int, int], geometry: Geometry
) -> Tensor:
    """Return which offsets lead a pixel or more out of the image, with the shape of `offset`.

    At exactly one pixel, where all taps in the padding are before training, torchvision uses the
    slope towards the image, and mmcv none.
    """
    pixel = torch.arange(max(offset.shape[2:]), device=offset.device)
    tap = torch.arange(kernel[0] * kernel[1], device=offset.device)[:, None, None]
    y = pixel[: offset.shape[2], None] * geometry.stride_h - geometry.pad_h
    x = pixel[: offset.shape[3]] * geometry.stride_w - geometry.pad_w
    y = y + tap // kernel[1] * geometry.dilation_h
    x = x + tap % kernel[1] * geometry.dilation_w
    shifts = offset.unflatten(1, (geometry.offset_groups, len(tap), 2))
    y, x = y + shifts[:, :, :, 0], x + shifts[:, :, :, 1]
    outside = (y <= -1) | (y >= shape[2]) | (x <= -1) | (x >= shape[3])
    return outside[:, :, :, None].expand_as(shifts).reshape(offset.shape)


def seen_by_taps(
    input: Tensor, offset: Tensor, kernel: tuple[int, int], geometry: Geometry
) -> Tensor:
    """Return the values at the taps, (N, C * kH * kW, H', W'), which torchvision does not expose.

    A depthwise convolution whose weights are one at a single tap copies that tap.
    """
    channels, taps = input.shape[1], kernel[0] * kernel[1]
    one_tap = torch.eye(taps, dtype=input.dtype, device=input.device)
    weight = one_tap.view(taps, 1, *kernel).repeat(channels, 1, 1, 1)
    return convolve(input, weight, offset, None, None, geometry)

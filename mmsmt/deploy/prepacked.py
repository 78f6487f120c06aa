"""Linear layers and convolutions with weights prepacked for oneDNN.

PyTorch lays weights out for oneDNN at every call, or multiplies by another library that is slower
on the narrow matrices of these networks. The operators used here are those to which PyTorch's own
compiler lowers a frozen graph; anything else (a GPU, autocast, compilation, export, a gradient)
takes the ordinary operators, with the same result but for rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers import suits_onednn

ACTIVATIONS = {'none': lambda x: x, 'relu': F.relu, 'gelu': F.gelu}
JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {'add': torch.add, 'mul': torch.mul}


def infers_on_cpu(x: Tensor) -> bool:
    """Whether a tensor is on a CPU, in inference: neither traced nor cast nor trained."""
    return (
        x.device.type == 'cpu'
        and not (torch.is_grad_enabled() and x.requires_grad)
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled('cpu')
    )


def runs_eagerly_on_cpu(x: Tensor) -> bool:
    """Whether a tensor is in inference on a CPU, and no compiler looks at it."""
    return not torch.compiler.is_compiling() and infers_on_cpu(x)


class Packed(nn.Module):
    """Fixed weights, which are no parameters, and their layout for oneDNN, made when needed.

    Args:
        weight: As of `nn.Linear` or `nn.Conv2d`; a view stays one.
        bias: As of the same layer; None for none.
        activation: What follows: `none`, `relu` or `gelu` (erf).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: str = 'none') -> None:
        super().__init__()
        self.weight: Tensor
        self.bias: Tensor | None
        self.register_buffer('weight', weight.detach())
        self.register_buffer('bias', None if bias is None else bias.detach())
        self.activation = activation
        # Arguments of the fused operators: erf is their GELU's algorithm 'none'.
        self._post: tuple[str, list, str] = (activation, [], 'none' if activation == 'gelu' else '')
        self._packed: Tensor | None = None

    def _apply(self, fn: Any, recurse: bool = True) -> 'Packed':
        self._packed = None
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._packed = None
        super()._load_from_state_dict(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {'_packed': None}  # such a layout can be neither copied nor stored

    def _fits(self, x: Tensor) -> bool:
        trained = torch.is_grad_enabled() and x.requires_grad
        return not trained and suits_onednn(x, self.weight)


class PackedLinear(Packed):
    """A linear layer, an activation, and a sum or product."""

    def forward(self, x: Tensor, other: Tensor | None = None, join: str = 'add') -> Tensor:
        """Map (..., C) to (..., C').

        Args:
            x: Input.
            other: What the result is joined with, instead of an activation; (..., C').
            join: How, `add` or `mul`.
        """
        if not self._fits(x):
            x = ACTIVATIONS[self.activation](F.linear(x, self.weight, self.bias))
            return x if other is None else JOINS[join](x, other)
        if self._packed is None:
            weight = self.weight.contiguous()
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        call = torch.ops.mkldnn._linear_pointwise
        if other is None:
            return call(x, self._packed, self.bias, *self._post)
        return call.binary(x, other, self._packed, self.bias, join)


class PackedConv(Packed):
    """A convolution with zero padding, and an activation, on (B, C, H, W).

    Args:
        weight, bias, activation: See `Packed`.
        stride, padding, dilation: For rows and columns.
        groups: Number of groups.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        activation: str = 'none',
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> None:
        super().__init__(weight, bias, activation)
        self.stride = list(stride)
        self.padding = list(padding)
        self.dilation = list(dilation)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W'), channels-last if `x` is."""
        places = self.padding, self.stride, self.dilation, self.groups
        if not self._fits(x):
            padding, stride, dilation, groups = places
            x = F.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
            return ACTIVATIONS[self.activation](x)
        if self._packed is None:
            weight = self.weight.contiguous().to_mkldnn()
            self._packed = torch._C._nn.mkldnn_reorder_conv2d_weight(weight, *places)
        call = torch.ops.mkldnn._convolution_pointwise
        return call(x, self._packed, self.bias, *places, *self._post)


def pack_linear(layer: nn.Linear, activation: str = 'none') -> PackedLinear:
    """The packed form of a linear layer."""
    return PackedLinear(layer.weight, layer.bias, activation)


def pack_conv(layer: nn.Conv2d, activation: str = 'none') -> PackedConv:
    """The packed form of a convolution.

    Raises:
        ValueError: If it does not pad with a number of zeros.
    """
    if layer.padding_mode != 'zeros' or isinstance(layer.padding, str):
        raise ValueError(f'cannot pack a convolution of padding {layer.padding_mode}')
    return PackedConv(
        layer.weight,
        layer.bias,
        activation,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
    )

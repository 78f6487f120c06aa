"""Exact folding of batch norms, layer scales, identities and kernels into weights."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mmsmt.layers import LayerScale


def fold_batch_norm(module: nn.Module, conv: str) -> None:
    """Fold the norm `bn` of a module in eval mode into its convolution `conv`, in place."""
    norm = module.bn
    if not isinstance(norm, nn.Identity):
        setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), cast(nn.BatchNorm2d, norm)))
        module.bn = nn.Identity()


def fold_scale(layer: nn.Linear, scale: LayerScale) -> None:
    """Fold a layer scale into the linear layer before it, in place."""
    layer.weight = nn.Parameter(layer.weight * scale.weight[:, None])
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias * scale.weight)


def fold_identity(conv: nn.Conv2d) -> None:
    """Fold the addition of the input into a depth-wise convolution, in place."""
    weight = conv.weight.clone()
    weight[:, 0, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] += 1
    conv.weight = nn.Parameter(weight)


def join_kernels(convs: Sequence[nn.Conv2d]) -> nn.Conv2d:
    """Join depth-wise convolutions of several kernel sizes for slices of the channels."""
    largest = max(conv.kernel_size[0] for conv in convs)
    padded = [F.pad(conv.weight, ((largest - conv.kernel_size[0]) // 2,) * 4) for conv in convs]
    weight = torch.cat(padded)
    biases = torch.cat([cast(Tensor, conv.bias) for conv in convs])
    return make_conv(weight, biases, len(weight))


def merge_groups(conv: nn.Conv2d, least: int) -> nn.Conv2d:
    """Merge groups of a convolution until they have `least` outputs or more, if possible.

    Neighbouring groups are merged, with zeros between them.
    """
    groups, outputs, inputs = conv.groups, len(conv.weight) // conv.groups, conv.weight.shape[1]
    count = next(n for n in range(1, groups + 1) if not groups % n and n * outputs >= least)
    blocks = conv.weight.reshape(groups // count, count, outputs, *conv.weight.shape[1:])
    places = [(0, 0, 0, 0, n * inputs, (count - 1 - n) * inputs) for n in range(count)]
    merged = [F.pad(blocks[:, n], place) for n, place in enumerate(places)]
    weight = torch.cat(merged, dim=1).flatten(0, 1)
    return make_conv(weight, cast(Tensor, conv.bias), groups // count)


def make_conv(weight: Tensor, bias: Tensor, groups: int) -> nn.Conv2d:
    """Return a convolution with an odd kernel and these weights, which keeps height and width."""
    inputs, outputs, size = weight.shape[1] * groups, len(weight), weight.shape[-1]
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, device='meta')
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return conv

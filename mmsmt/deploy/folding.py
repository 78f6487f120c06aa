"""Exact folding of batch norms, layer scales and kernels into weights."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers import LayerScale


def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what a batch norm after it does in evaluation."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    gain = norm.weight / (variance + norm.eps).sqrt()
    bias = -mean if conv.bias is None else conv.bias - mean
    weight = conv.weight * gain.reshape(-1, 1, 1, 1)
    return weight.detach(), (norm.bias + bias * gain).detach()


def fold_identity(conv: nn.Conv2d) -> Tensor:
    """Weight of a depth-wise convolution whose result is added to its input."""
    weight = conv.weight.detach().clone()
    weight[:, 0, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] += 1
    return weight


def fold_scale(layer: nn.Linear, scale: LayerScale) -> nn.Linear:
    """A linear layer that does what a layer scale after it does."""
    folded = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    folded.weight = nn.Parameter(layer.weight * scale.weight[:, None], requires_grad=False)
    if layer.bias is not None:
        folded.bias = nn.Parameter(layer.bias * scale.weight, requires_grad=False)
    return folded


def join_kernels(convs: Sequence[nn.Module]) -> tuple[Tensor, Tensor]:
    """Weight and bias of one depth-wise convolution for slices with kernels of several sizes."""
    kernels, biases = zip(*(conv.parameters() for conv in convs), strict=True)
    largest = max(kernel.shape[-1] for kernel in kernels)
    padded = [F.pad(kernel, ((largest - kernel.shape[-1]) // 2,) * 4) for kernel in kernels]
    return torch.cat(padded).detach(), torch.cat(biases).detach()


def merge_groups(weight: Tensor, groups: int, least: int) -> tuple[Tensor, int]:
    """Weight of a convolution in groups of `least` outputs or more, and how many groups it has.

    Neighbouring groups become one, with zeros where they have no connection.
    """
    outputs, inputs = len(weight) // groups, weight.shape[1]
    count = next(n for n in range(1, groups + 1) if not groups % n and n * outputs >= least)
    blocks = weight.detach().reshape(groups // count, count, outputs, *weight.shape[1:])
    places = [(0, 0, 0, 0, n * inputs, (count - 1 - n) * inputs) for n in range(count)]
    merged = [F.pad(blocks[:, n], place) for n, place in enumerate(places)]
    return torch.cat(merged, dim=1).flatten(0, 1), groups // count

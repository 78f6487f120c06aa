"""Folded forms of modules that compute differently in training."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.deploy.folding import fold_identity, join_kernels, merge_groups
from mmsmt.layers import ConvFFN, conv_channels_last
from mmsmt.mixers import ScaleAwareModulation

# Outputs per group of a convolution that fill a vector register of 512 bits.
VECTOR = 16


class JoinedModulation(nn.Module):
    """`ScaleAwareModulation` with one depth-wise convolution for all heads.

    The context layer returns its channels in the order of the aggregation, at no cost, so that
    nothing is moved in between; the kernels of all heads are padded to the largest.

    Args:
        mixer: The original, with its norm folded. Its layers are taken over and modified.
    """

    def __init__(self, mixer: ScaleAwareModulation) -> None:
        super().__init__()
        dim, heads = mixer.proj.in_features, mixer.num_heads
        order = torch.arange(dim).reshape(heads, -1).T.flatten()
        self.value = mixer.value
        self.context = mixer.context
        self.filter = join_kernels(cast(list[nn.Conv2d], list(mixer.head_convs)))
        for layer in (self.context, self.filter):
            reorder_outputs(layer, order)
        self.expand = merge_groups(mixer.expand, VECTOR)
        self.reduce = mixer.reduce
        self.proj = mixer.proj

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        modulator = conv_channels_last(self._modulate, self.context(x))
        # As tokens: OpenVINO would multiply maps on the convolution's side of the permutation, and
        # copy both factors there.
        product = modulator.flatten(1, 2) * self.value(x.flatten(1, 2))
        return self.proj(product).reshape(x.shape)

    def _modulate(self, x: Tensor) -> Tensor:
        return self.reduce(F.gelu(self.expand(self.filter(x))))


class FoldedConvFFN(nn.Module):
    """`ConvFFN` with the identity in the kernel of its convolution.

    Args:
        ffn: The original. Its layers are taken over and modified.
    """

    def __init__(self, ffn: ConvFFN) -> None:
        super().__init__()
        fold_identity(ffn.dwconv)
        self.fc1, self.dwconv, self.fc2 = ffn.fc1, ffn.dwconv, ffn.fc2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return self.fc2(F.gelu(conv_channels_last(self.dwconv, self.fc1(x))))


class TokenNorm(nn.LayerNorm):
    """`LayerNorm` of a map (B, H, W, C) as tokens (B, H * W, C).

    OpenVINO normalises the last of three axes with one operator, in bfloat16 where it can. For four
    axes it uses several operators in float32, with conversions around them.

    Args:
        norm: The original. Its parameters are taken over.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__(norm.normalized_shape, norm.eps, device='meta')
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return (
            super().forward(x.flatten(1, -2)).reshape(x.shape) if x.ndim > 3 else super().forward(x)
        )


def reorder_outputs(layer: nn.Linear | nn.Conv2d, order: Tensor) -> None:
    """Reorder the output channels of a linear layer or depth-wise convolution, in place."""
    layer.weight = nn.Parameter(layer.weight[order])
    layer.bias = nn.Parameter(cast(Tensor, layer.bias)[order])

"""Locally enhanced positional encoding of SG-Former (https://arxiv.org/abs/2308.12216)."""

from torch import Tensor, nn

from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.init import init_layer


class LocalPosition(nn.Module):
    """Apply a linear layer and a depth-wise 3x3, both with bias.

    Args:
        dim: Number of channels C.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import LocalPosition
        >>> LocalPosition(32)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return conv_channels_last(self.dwconv, self.linear(x))

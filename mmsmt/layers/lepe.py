"""Locally enhanced positional encoding of SG-Former (arXiv 2308.12216)."""

from torch import Tensor, nn

from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.init import init_layer


class LocalPosition(nn.Module):
    """Linear, depth-wise 3x3, both with bias.

    Args:
        dim: Number of channels C.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return conv_channels_last(self.dwconv, self.linear(x))

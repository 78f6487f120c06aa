"""Depth-wise convolution between two linear layers, the mixer of U-ConvNeXt.

Paper: https://arxiv.org/abs/2211.05781; layout as in the released code.
"""

from torch import Tensor, nn

from mmsmt.errors import ConfigError
from mmsmt.layers import conv_channels_last, init_truncated


class DepthwiseConv(nn.Module):
    """Apply a linear layer, a depth-wise convolution and a linear layer, all with bias.

    Args:
        dim: Number of channels C.
        kernel_size: Kernel of the convolution, odd.

    Raises:
        ValueError: If `kernel_size` is even or below 1.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import DepthwiseConv
        >>> DepthwiseConv(32)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(self, dim: int, kernel_size: int = 7) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ConfigError(f'depth-wise convolution: kernel_size must be odd, got {kernel_size}')
        self.input_proj = nn.Linear(dim, dim)
        self.dwconv = nn.Conv2d(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim)
        self.proj = nn.Linear(dim, dim)
        self.apply(init_truncated)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return self.proj(conv_channels_last(self.dwconv, self.input_proj(x)))

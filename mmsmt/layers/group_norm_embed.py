"""Patch embeddings of SG-Former, with group norm (https://arxiv.org/abs/2308.12216).

Group norm with a single group does not depend on the batch. On a GPU its result is
channels-first, hence the final copies, which are free on a CPU.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.init import init_layer


class ConvNorm(nn.Sequential):
    """Convolution without bias, then group norm with one group (eps 1e-5), on (B, C, H, W).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the result.
        kernel_size: Size of the kernel; half of it is the padding.
        stride: Stride.
        groups: Groups of the convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        )
        self.norm = nn.GroupNorm(1, out_channels, eps=1e-5)
        self.apply(init_layer)


class ConvNormStem(nn.Module):
    """Stride-4 stem: three 3x3 convolutions with group norm, GELU between them, LayerNorm.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of the result.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import ConvNormStem
        >>> ConvNormStem(3, 64)(torch.rand(1, 224, 224, 3)).shape
        torch.Size([1, 56, 56, 64])
    """

    def __init__(self, in_channels: int, embed_dims: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, embed_dims, 3, stride=2)
        self.conv2 = ConvNorm(embed_dims, embed_dims, 3, stride=1)
        self.conv3 = ConvNorm(embed_dims, embed_dims, 3, stride=2)
        self.norm = nn.LayerNorm(embed_dims, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_channels) to (B, ceil(H / 4), ceil(W / 4), embed_dims)."""
        x = F.gelu(conv_channels_last(self.conv1, x))
        x = F.gelu(conv_channels_last(self.conv2, x))
        return self.norm(conv_channels_last(self.conv3, x).contiguous())


class SeparablePatchEmbed(nn.Module):
    """Stride-2 patch embedding: 1x1, strided depth-wise 3x3, 1x1, each with group norm.

    Args:
        in_channels: Channels of the previous stage.
        embed_dims: Channels of the result.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import SeparablePatchEmbed
        >>> SeparablePatchEmbed(64, 128)(torch.rand(1, 56, 56, 64)).shape
        torch.Size([1, 28, 28, 128])
    """

    def __init__(self, in_channels: int, embed_dims: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, embed_dims, 1, stride=1)
        self.conv2 = ConvNorm(embed_dims, embed_dims, 3, stride=2, groups=embed_dims)
        self.conv3 = ConvNorm(embed_dims, embed_dims, 1, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_channels) to (B, ceil(H / 2), ceil(W / 2), embed_dims)."""
        x = F.gelu(conv_channels_last(self.conv1, x))
        x = F.gelu(conv_channels_last(self.conv2, x))
        return conv_channels_last(self.conv3, x).contiguous()

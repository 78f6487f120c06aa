"""Stems and patch embeddings of SMT and of unified models.

In SMT, layer norms here have eps 1e-5, those of blocks and stage ends 1e-6; in unified models all
have 1e-6 (released behaviour).
Papers: https://arxiv.org/abs/2307.08579, https://arxiv.org/abs/2211.05781.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.init import init_layer, init_truncated


class ConvStem(nn.Module):
    """Stride-4 stem: Conv stride 2, BatchNorm, ReLU, Conv 2x2 stride 2, LayerNorm.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of the result.
        kernel_size: Kernel of the first convolution, odd (3 or 7 in the paper).

    Examples:
        >>> import torch
        >>> from mmsmt.layers import ConvStem
        >>> ConvStem(3, 64)(torch.rand(1, 224, 224, 3)).shape
        torch.Size([1, 56, 56, 64])
    """

    # The second convolution has no padding and needs at least two rows.
    min_size = 3

    def __init__(self, in_channels: int, embed_dims: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, embed_dims, kernel_size, stride=2, padding=kernel_size // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(embed_dims)
        self.conv2 = nn.Conv2d(embed_dims, embed_dims, 2, stride=2)
        self.norm = nn.LayerNorm(embed_dims, eps=1e-5)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_channels) to (B, H', W', embed_dims), H' = ceil(H / 2) // 2."""
        return self.norm(conv_channels_last(self._convolve, x))

    def _convolve(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.bn(self.conv1(x))))


class TwoStepStem(nn.Module):
    """Stride-4 stem of unified models: Conv 3x3, LayerNorm, GELU (erf), Conv 3x3, LayerNorm.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of the result, twice those between the convolutions.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import TwoStepStem
        >>> TwoStepStem(3, 64)(torch.rand(1, 224, 224, 3)).shape
        torch.Size([1, 56, 56, 64])
    """

    def __init__(self, in_channels: int, embed_dims: int) -> None:
        super().__init__()
        self.step1 = PatchEmbed(in_channels, embed_dims // 2, norm_eps=1e-6)
        self.step2 = PatchEmbed(embed_dims // 2, embed_dims, norm_eps=1e-6)
        self.apply(init_truncated)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_channels) to (B, ceil(H / 4), ceil(W / 4), embed_dims)."""
        return self.step2(F.gelu(self.step1(x)))


class PatchEmbed(nn.Module):
    """Stride-2 patch embedding: Conv 3x3, LayerNorm.

    Args:
        in_channels: Channels of the previous stage.
        embed_dims: Channels of the result.
        bias: Whether the convolution has a bias.
        norm_eps: Epsilon of the norm.

    Examples:
        >>> import torch
        >>> from mmsmt.layers import PatchEmbed
        >>> PatchEmbed(64, 128)(torch.rand(1, 56, 56, 64)).shape
        torch.Size([1, 28, 28, 128])
    """

    def __init__(
        self, in_channels: int, embed_dims: int, bias: bool = True, norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dims, 3, stride=2, padding=1, bias=bias)
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_channels) to (B, ceil(H / 2), ceil(W / 2), embed_dims)."""
        return self.norm(conv_channels_last(self.proj, x))

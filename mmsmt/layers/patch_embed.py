"""Patch embeddings of SMT: the stem and the three reductions.

Layer norms here have eps 1e-5, those of blocks and stage ends 1e-6 (released behaviour).
Paper: https://arxiv.org/abs/2307.08579.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers.conv import conv_channels_last
from mmsmt.layers.init import init_layer


class ConvStem(nn.Module):
    """Stride-4 stem: Conv stride 2, BatchNorm, ReLU, Conv 2x2 stride 2, LayerNorm.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of the result.
        kernel_size: Kernel of the first convolution, odd (3 or 7 in the paper).
    """

    # The second convolution has no padding: two rows must be left for it.
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
        x = conv_channels_last(self.conv1, x)
        x = F.relu(conv_channels_last(self.bn, x))
        return self.norm(conv_channels_last(self.conv2, x))


class PatchEmbed(nn.Module):
    """Stride-2 reduction: Conv 3x3, LayerNorm.

    Args:
        in_channels: Channels of the stage before.
        embed_dims: Channels of the result.
    """

    def __init__(self, in_channels: int, embed_dims: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dims, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(embed_dims, eps=1e-5)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_channels) to (B, ceil(H / 2), ceil(W / 2), embed_dims)."""
        return self.norm(conv_channels_last(self.proj, x))

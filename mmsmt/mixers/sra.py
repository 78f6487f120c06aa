"""Spatial-reduction attention, the mixer of U-PVT.

Paper: https://arxiv.org/abs/2102.12122, section 3.3; the variant of the unified models
(https://arxiv.org/abs/2211.05781) as in the released code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.errors import ConfigError
from mmsmt.layers import attend, conv_channels_last, init_truncated, pad_to_multiple


@torch.fx.wrap
def pad_to_least(x: Tensor, size: int) -> Tensor:
    """Append zero rows and columns to a map (B, H, W, C) until both sides are at least `size`."""
    bottom, right = (max(size - side, 0) for side in x.shape[1:3])
    return F.pad(x, (0, 0, 0, right, 0, bottom))


class SpatialReductionAttention(nn.Module):
    """Attention to keys and values that a strided convolution reduces.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, consecutive slices of the channels.
        reduction: Kernel and stride of the convolution; 1 for none.
        whole_map: Pad with zeros so that keys and values cover the last rows and columns. False
            ignores them beyond the last full patch (as the released detection code), unless no
            patch is full.

    Raises:
        ValueError: If `dim` is not a multiple of `num_heads`, or `reduction` is below 1.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import SpatialReductionAttention
        >>> SpatialReductionAttention(32, reduction=4)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(
        self, dim: int, num_heads: int = 8, reduction: int = 1, whole_map: bool = True
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ConfigError(f'SRA: dim {dim} is not a multiple of num_heads {num_heads}')
        if reduction < 1:
            raise ConfigError(f'SRA: reduction must be at least 1, got {reduction}')
        self.num_heads = num_heads
        self.reduction = reduction
        self.whole_map = whole_map
        self.q = nn.Linear(dim, dim)
        if reduction > 1:
            self.reduce = nn.Conv2d(dim, dim, reduction, stride=reduction)
            self.norm = nn.LayerNorm(dim, eps=1e-5)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.apply(init_truncated)

    def _reduced(self, x: Tensor) -> Tensor:
        """Return the map (B, H', W', C) for keys and values."""
        if self.reduction == 1:
            return x
        pad = pad_to_multiple if self.whole_map else pad_to_least
        x = pad(x, self.reduction)
        return self.norm(conv_channels_last(self.reduce, x))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        k, v = self.kv(self._reduced(x)).chunk(2, dim=-1)
        return self.proj(attend(self.q(x), k, v, self.num_heads))

"""Multi-head self-attention with a depth-wise convolution, in SMT and in SG-Former's last stage.

Papers: https://arxiv.org/abs/2307.08579, section 3.2, and https://arxiv.org/abs/2308.12216; the
convolution (locally enhanced position information) as in the released codes.
"""

from torch import Tensor, nn

from mmsmt.errors import ConfigError
from mmsmt.layers import LocalPosition, attend, conv_channels_last, init_layer


class MultiHeadSelfAttention(nn.Module):
    """Global attention over all pixels plus a 3x3 depth-wise convolution.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, consecutive slices of the channels.
        qkv_bias: Whether the query and key-value layers have a bias.
        local: Input of the convolution: the `values` (SMT), or the `input` through a linear layer
            (SG-Former).

    Raises:
        ValueError: If `dim` is not a multiple of `num_heads`, or `local` is neither.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import MultiHeadSelfAttention
        >>> MultiHeadSelfAttention(32)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    def __init__(
        self, dim: int, num_heads: int = 8, qkv_bias: bool = True, local: str = 'values'
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ConfigError(f'MSA: dim {dim} is not a multiple of num_heads {num_heads}')
        if local not in ('values', 'input'):
            raise ConfigError(f'MSA: local must be values or input, got {local!r}')
        self.num_heads = num_heads
        self.local = local
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        if local == 'values':
            self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        else:
            self.lepe = LocalPosition(dim)
        self.proj = nn.Linear(dim, dim)
        self.apply(init_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        k, v = self.kv(x).chunk(2, dim=-1)
        nearby = conv_channels_last(self.dwconv, v) if self.local == 'values' else self.lepe(x)
        return self.proj(attend(self.q(x), k, v, self.num_heads) + nearby)

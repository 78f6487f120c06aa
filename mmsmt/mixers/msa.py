"""Multi-head self-attention with a depth-wise convolution on the values, SMT's other mixer.

Paper: https://arxiv.org/abs/2307.08579, section 3.2; the convolution (locally enhanced
position information) as in the released code. Attention is PyTorch's fused one, so its
memory grows linearly with the number of pixels.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers import conv_channels_last, init_layer


class MultiHeadSelfAttention(nn.Module):
    """Global attention over all pixels plus a 3x3 depth-wise convolution of the values.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, consecutive slices of the channels.
        qkv_bias: Whether the query and key-value layers have a bias.

    Raises:
        ValueError: If `dim` is not a multiple of `num_heads`.
    """

    def __init__(self, dim: int, num_heads: int = 8, qkv_bias: bool = True) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f'MSA: dim {dim} is not a multiple of num_heads {num_heads}')
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.proj = nn.Linear(dim, dim)
        self.apply(init_layer)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to (B, heads, H * W, C / heads)."""
        return x.flatten(1, 2).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        k, v = self.kv(x).chunk(2, dim=-1)
        attended = F.scaled_dot_product_attention(
            self._heads(self.q(x)), self._heads(k), self._heads(v)
        )
        attended = attended.transpose(1, 2).reshape(x.shape)
        return self.proj(attended + conv_channels_last(self.dwconv, v))

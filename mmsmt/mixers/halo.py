"""Blocked attention with a halo and relative positions, the mixer of HaloNet.

Paper: https://arxiv.org/abs/2103.12731, section 2.2; the variant of the unified models
(https://arxiv.org/abs/2211.05781) as in the released code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.errors import ConfigError
from mmsmt.layers import cached_constant, init_truncated, pad_to_multiple


def relative_rows(block: int, halo: int) -> Tensor:
    """Return rows of a relative table for query r of a block and key R of its window: last + R - r.

    As released, the index is not centred by the halo: the first 2 * `halo` rows are never read.

    Args:
        block: Side of a block of queries.
        halo: Rows of keys beyond the block, on either side.

    Returns:
        (block, block + 2 * halo).
    """
    keys = torch.arange(block + 2 * halo)
    return keys + len(keys) - 1 - torch.arange(block)[:, None]


@cached_constant
def outside(length: int, limit: int, block: int, halo: int, device: torch.device) -> Tensor:
    """Return the mask to add to the logits of keys along one axis.

    Args:
        length: Rows of the map, a multiple of `block`.
        limit: How many rows may be seen.
        block: Side of a block of queries.
        halo: Rows of keys beyond the block, on either side.
        device: Device of the result.

    Returns:
        (blocks, block + 2 * halo) in float16: 0, or -inf for keys outside.
    """
    first = torch.arange(-halo, length - halo, block, device=device)
    place = first[:, None] + torch.arange(block + 2 * halo, device=device)
    mask = torch.zeros(place.shape, dtype=torch.float16, device=device)
    # Every block has a pixel of the map among its keys, so no softmax is over -inf only.
    return mask.masked_fill_((place < 0) | (place >= limit), -torch.inf)


torch.fx.wrap('outside')


class HaloAttention(nn.Module):
    """Attention from the pixels of a block to a larger window around it.

    Logits are (q / sqrt(d)) . k + q . height[R - r] + q . width[S - c], with q unscaled in the last
    two terms, whose tables all heads share. Only the output layer has a bias.

    Args:
        dim: Number of channels C.
        num_heads: Number of heads, consecutive slices of the channels; of `kv`'s channels each head
            has a slice too, first its keys, then its values.
        block: Side of a block of queries.
        halo: Rows and columns of keys beyond the block, on either side.
        mask_padding: Whether the zeros that fill up the last blocks are masked. False is the
            released detection code: their keys and values are zero, but their positions count.

    Raises:
        ValueError: If `dim` is not a multiple of `num_heads`, `block` below 1 or `halo` below 0.

    Examples:
        >>> import torch
        >>> from mmsmt.mixers import HaloAttention
        >>> HaloAttention(32, num_heads=2)(torch.rand(1, 14, 14, 32)).shape
        torch.Size([1, 14, 14, 32])
    """

    relative_rows: Tensor

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        block: int = 7,
        halo: int = 3,
        mask_padding: bool = True,
    ) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ConfigError(
                f'halo attention: dim {dim} is not a multiple of num_heads {num_heads}'
            )
        if block < 1 or halo < 0:
            raise ConfigError(
                f'halo attention: block must be at least 1 and halo at least 0, '
                f'got {block} and {halo}'
            )
        self.num_heads = num_heads
        self.block = block
        self.halo = halo
        self.mask_padding = mask_padding
        width, rows = dim // num_heads, 2 * (block + 2 * halo) - 1
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(dim, 2 * dim, bias=False)
        self.height_rel = nn.Parameter(torch.empty(rows, width))
        self.width_rel = nn.Parameter(torch.empty(rows, width))
        self.proj = nn.Linear(dim, dim)
        self.register_buffer('relative_rows', relative_rows(block, halo), persistent=False)
        for table in (self.height_rel, self.width_rel):
            nn.init.normal_(table, std=width**-0.5)
        self.apply(init_truncated)

    def _position_logits(self, q: Tensor, height: int, width: int) -> Tensor:
        """Return logits of positions and masks (B, rows, columns, heads, queries, keys)."""
        block, halo, device = self.block, self.halo, q.device
        index = self.relative_rows
        rows = torch.einsum('byxhrcd,rkd->byxhrck', q, self.height_rel[index])
        columns = torch.einsum('byxhrcd,ckd->byxhrck', q, self.width_rel[index])
        sides = q.shape[1] * block, q.shape[2] * block
        seen = (height, width) if self.mask_padding else sides
        top, left = (outside(n, m, block, halo, device) for n, m in zip(sides, seen, strict=True))
        rows = rows + top[:, None, None, None, None]
        columns = columns + left[:, None, None, None]
        return (rows[..., None] + columns[..., None, :]).flatten(-2).flatten(-3, -2).to(q.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        _, height, width, _ = x.shape
        block, halo = self.block, self.halo
        window = block + 2 * halo
        q = pad_to_multiple(self.q(x), block)
        q = (
            q.unflatten(2, (-1, block))
            .unflatten(1, (-1, block))
            .unflatten(-1, (self.num_heads, -1))
        )
        q = q.permute(0, 1, 3, 5, 2, 4, 6)  # (B, rows, columns, heads, block, block, d)
        kv = F.pad(pad_to_multiple(self.kv(x), block), (0, 0, halo, halo, halo, halo))
        kv = kv.unfold(1, window, block).unfold(2, window, block).unflatten(3, (self.num_heads, -1))
        # (blocks, heads, keys, 2 d): the only copy; it holds a pixel once for each of its blocks.
        kv = kv.permute(0, 1, 2, 3, 5, 6, 4).flatten(4, 5).flatten(0, 2)
        k, v = kv.chunk(2, dim=-1)
        bias = self._position_logits(q, height, width).flatten(0, 2)
        mixed = F.scaled_dot_product_attention(q.flatten(4, 5).flatten(0, 2), k, v, bias)
        x = mixed.reshape(q.shape).permute(0, 1, 4, 2, 5, 3, 6)
        return self.proj(x.flatten(5, 6).flatten(3, 4).flatten(1, 2)[:, :height, :width])

"""Multi-head softmax attention between maps."""

from torch import Tensor
from torch.nn import functional as F


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Map (B, ..., C) to (B, num_heads, N, C / num_heads), N counting the positions."""
    return x.flatten(1, -2).unflatten(-1, (num_heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int, mask: Tensor | None = None) -> Tensor:
    """Attend from every query to every key by fused attention; memory grows linearly.

    Args:
        q: Queries (B, ..., C), scaled by (C / num_heads)^-0.5 here.
        k: Keys (B, ..., C), with as many positions as `v`.
        v: Values (B, ..., C).
        num_heads: Number of heads.
        mask: True where a query may see a key, broadcast to (B, num_heads, N, M).

    Returns:
        The mixed values, with the shape of `q`.
    """
    mixed = F.scaled_dot_product_attention(
        split_heads(q, num_heads), split_heads(k, num_heads), split_heads(v, num_heads), mask
    )
    return mixed.transpose(1, 2).reshape(q.shape)

"""Significance of keys: the attention that each receives, as SG-Former defines it."""

import torch
from torch import Tensor

from mmsmt.layers.attention import split_heads

# Maximum entries of the attention matrix at a time: 16 MiB in float32.
CHUNK = 2**22


@torch.no_grad()
def key_significance(
    q: Tensor, k: Tensor, num_heads: int, valid: Tensor | None = None, chunk: int = CHUNK
) -> Tensor:
    """Return the attention that every key receives from all queries, averaged over the heads.

    `scaled_dot_product_attention` does not return the weights, so they are computed again without
    gradient, in chunks of queries. Sums are at least float32, to avoid ties when they are sorted.
    Scores beyond the range of float16 are clamped to its maximum.

    Args:
        q: Queries (B, ..., C).
        k: Keys (B, ..., C).
        num_heads: Number of heads.
        valid: Positions that take part (B, N), at least one per row, where keys and queries are the
            same positions. The others neither give nor receive attention.
        chunk: Maximum entries of the matrix at a time, but at least one query's.

    Returns:
        Map (B, M); every row sums to the number of (valid) queries.
    """
    q, k = split_heads(q, num_heads), split_heads(k, num_heads).transpose(-2, -1)
    dtype = torch.promote_types(q.dtype, torch.float32)
    received = torch.zeros(k.shape[0], k.shape[-1], dtype=dtype, device=k.device)
    scale, halved = k.shape[2] ** -0.5, q.dtype != dtype
    if halved:  # before the product, which would overflow in float16
        q, largest = q * scale, torch.finfo(q.dtype).max
    step = max(chunk // max(k.shape[0] * num_heads * k.shape[-1], 1), 1)
    # Loop over a count, not `range(0, N, step)`, so that one compiled graph serves many sizes.
    for part in range(-(-q.shape[2] // step)):
        start = part * step
        scores = q[:, :, start : start + step] @ k
        scores = scores.clamp(-largest, largest) if halved else scores * scale
        if valid is not None:
            scores = scores.masked_fill(~valid[:, None, None], -torch.inf)
        attention = scores.softmax(-1, dtype=dtype)
        if valid is not None:
            attention = attention * valid[:, None, start : start + step, None]
        received = received + attention.sum((1, 2))
    return received / num_heads

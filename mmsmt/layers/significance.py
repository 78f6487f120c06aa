"""Significance of keys: the attention that each receives, as SG-Former defines it."""

import torch
from torch import Tensor

from mmsmt.layers.attention import split_heads

# Entries of the attention matrix that exist at a time: 16 MiB in float32.
CHUNK = 2**22


@torch.no_grad()
def key_significance(
    q: Tensor, k: Tensor, num_heads: int, valid: Tensor | None = None, chunk: int = CHUNK
) -> Tensor:
    """Attention that every key receives from all queries together, mean over the heads.

    Fused attention does not tell. The matrix is computed again without gradient, some queries
    at a time. Sums are kept in float32 at least: what is sorted by them should not have ties.
    Scores beyond the range of float16 are its largest number, not infinite.

    Args:
        q: Queries (B, ..., C).
        k: Keys (B, ..., C).
        num_heads: Number of heads.
        valid: Which positions take part (B, N), where keys and queries are the same
            positions; each row needs one. The others neither give nor receive.
        chunk: Entries of the matrix that may exist at a time; one query's are the least.

    Returns:
        (B, M); every row sums up to the number of (valid) queries.
    """
    q, k = split_heads(q, num_heads), split_heads(k, num_heads).transpose(-2, -1)
    dtype = torch.promote_types(q.dtype, torch.float32)
    received = torch.zeros(k.shape[0], k.shape[-1], dtype=dtype, device=k.device)
    scale, halved = k.shape[2] ** -0.5, q.dtype != dtype
    if halved:  # before the product, which would leave the range of float16 first
        q, largest = q * scale, torch.finfo(q.dtype).max
    step = max(chunk // max(k.shape[0] * num_heads * k.shape[-1], 1), 1)
    # Over a number, not over `range(0, N, step)`: a compiled graph then serves many sizes.
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

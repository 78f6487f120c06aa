"""Deformable attention and position encodings for maps of unknown size in a graph.

mmdet keeps sizes of maps in a tensor, which an export fixes. Here they are a list.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(
    attention: Any,
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    identity: Tensor | None = None,
    query_pos: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
    reference_points: Any = None,
    spatial_shapes: Any = (),
    **_: Any,
) -> Tensor:
    """Compute mmcv's `MultiScaleDeformableAttention`, with `spatial_shapes` as (h, w) pairs.

    Args:
        attention: The module of mmcv.
        query: Queries (B, Q, C).
        key: Ignored, as in mmcv.
        value: Pixels of all maps (B, keys, C); the query by default.
        identity: Added to the result; the query by default.
        query_pos: Added to the query.
        key_padding_mask: (B, keys), true for pixels that count as 0.
        reference_points: (B, Q, levels, 2 or 4), points or boxes between 0 and 1.
        spatial_shapes: Height and width of each map.
    """
    identity = query if identity is None else identity
    value = query if value is None else value
    query = query if query_pos is None else query + query_pos
    value = attention.value_proj(value)
    if key_padding_mask is not None:
        value = value.masked_fill(key_padding_mask[..., None], 0.0)
    batch, count = query.shape[:2]
    heads, levels, points = attention.num_heads, attention.num_levels, attention.num_points
    offsets = attention.sampling_offsets(query).view(batch, count, heads, levels, points, 2)
    weights = attention.attention_weights(query).view(batch, count, heads, -1).softmax(-1)
    where = _locations(reference_points, offsets, spatial_shapes, points)
    where = (2 * where - 1).transpose(1, 2).flatten(0, 1)  # (B * heads, Q, levels, points, 2)
    samples = []
    for i, part in enumerate(value.split([h * w for h, w in spatial_shapes], 1)):
        height, width = spatial_shapes[i]
        level = part.transpose(1, 2).reshape(batch * heads, -1, height, width)
        samples.append(F.grid_sample(level, where[:, :, i], align_corners=False))
    weights = weights.transpose(1, 2).reshape(batch * heads, 1, count, -1)
    mixed = (torch.cat(samples, -1) * weights).sum(-1).view(batch, -1, count).transpose(1, 2)
    return attention.dropout(attention.output_proj(mixed)) + identity


def _locations(references: Tensor, offsets: Tensor, shapes: Any, points: int) -> Tensor:
    """Return sampling locations (B, Q, heads, levels, points, 2), 0 to 1 within a map."""
    references = references[:, :, None, :, None]
    if references.shape[-1] == 2:
        one = torch.ones((), dtype=offsets.dtype, device=offsets.device)
        sizes = torch.stack([torch.stack([one * width, one * height]) for height, width in shapes])
        return references + offsets / sizes[:, None]
    return references[..., :2] + offsets / points * references[..., 2:] * 0.5


def encode_positions(encoding: Any, inside: Tensor) -> Tensor:
    """Return the codes (B, C, H, W) of mmdet's `SinePositionalEncoding`; `inside` is (B, H, W)."""
    steps = torch.arange(encoding.num_feats, dtype=torch.float32, device=inside.device)
    steps = encoding.temperature ** (2 * (steps // 2) / encoding.num_feats)
    codes = []
    for axis in (1, 2):
        place = inside.cumsum(axis)
        if encoding.normalize:
            most = place.amax(axis, keepdim=True) + encoding.eps
            place = (place + encoding.offset) / most * encoding.scale
        angle = place[..., None] / steps
        codes.append(torch.stack([angle[..., 0::2].sin(), angle[..., 1::2].cos()], 4).flatten(3))
    return torch.cat(codes, 3).permute(0, 3, 1, 2)

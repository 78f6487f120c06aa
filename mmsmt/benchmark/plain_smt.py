"""Plain PyTorch form of SMT, the baseline for speed and outputs.

Stands in for the released code: tokens (B, N, C), a transpose to a contiguous (B, C, H, W) map and
back around every convolution, softmax attention with the matrix in memory, and every operation
separate. Modules and weights are those of `mmsmt.SMT`, without its optimisations.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.backbones import SMT
from mmsmt.mixers import MultiHeadSelfAttention, ScaleAwareModulation


def to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """Convert (B, N, C) to a contiguous (B, C, H, W)."""
    return tokens.transpose(1, 2).unflatten(2, (height, width)).contiguous()


def to_tokens(image: Tensor) -> Tensor:
    """Convert (B, C, H, W) to a view (B, N, C)."""
    return image.flatten(2).transpose(1, 2)


def _linear(layer: Any, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight, layer.bias)  # our layers may use another library


def _embed(m: Any, image: Tensor) -> Tensor:
    """Map an image or map to a map of fewer pixels, without the norm."""
    return m.proj(image) if hasattr(m, 'proj') else m.conv2(F.relu(m.bn(m.conv1(image))))


def _modulate(m: Any, x: Tensor, height: int, width: int) -> Tensor:
    heads = _linear(m.context, x).chunk(m.num_heads, dim=-1)
    filtered = [conv(to_map(head, height, width)) for conv, head in zip(m.head_convs, heads)]
    groups = torch.stack(filtered, dim=2).flatten(1, 2)  # channel g of every head together
    modulator = m.reduce(F.gelu(m.bn(m.expand(groups))))
    return _linear(m.proj, to_tokens(modulator) * _linear(m.value, x))


def _attend(m: Any, x: Tensor, height: int, width: int) -> Tensor:
    q, (k, v) = _linear(m.q, x), _linear(m.kv, x).chunk(2, dim=-1)
    local = to_tokens(m.dwconv(to_map(v, height, width)))
    q, k, v = (t.unflatten(-1, (m.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    return _linear(m.proj, mixed + local)


def _feed_forward(m: Any, x: Tensor, height: int, width: int) -> Tensor:
    x = _linear(m.fc1, x)
    return _linear(m.fc2, F.gelu(x + to_tokens(m.dwconv(to_map(x, height, width)))))


MIXERS: dict[type[nn.Module], Any] = {
    ScaleAwareModulation: _modulate,
    MultiHeadSelfAttention: _attend,
}


class PlainSMT(SMT):
    """The whole network, with the arguments and state dict of `mmsmt.SMT`.

    Raises:
        ValueError: If the variant is wrong or has a mixer other than `sam` and `msa`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mixers = {type(block.mixer) for blocks in self.stages for block in blocks}  # type: ignore
        if not mixers <= set(MIXERS):
            raise ValueError(f'the plain form has the mixers sam and msa, not {self.arch.mixers}')

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images (B, in_channels, H, W) to the maps (B, C, H, W) of the four stages."""
        maps = []
        stages: Any = zip(self.patch_embeds, self.stages, self.norms, strict=True)
        for embed, blocks, norm in stages:
            x = _embed(embed, x)
            size = x.shape[2:]
            x = embed.norm(to_tokens(x))
            for block in blocks:
                mixed = MIXERS[type(block.mixer)](block.mixer, block.norm1(x), *size)
                x = x + block.drop_path(block.scale1(mixed))
                mixed = _feed_forward(block.ffn, block.norm2(x), *size)
                x = x + block.drop_path(block.scale2(mixed))
            x = to_map(norm(x), *size)
            maps.append(x)
        return tuple(maps)

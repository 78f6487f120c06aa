"""SMT written plainly: what the speed of ours is compared with, and its outputs too.

Stands in for the released code: tokens (B, N, C), a transpose into a contiguous (B, C, H, W) map
and one back around every convolution, softmax attention whose matrix lies in memory, and every
operation on its own. Names and shapes of the weights are those of `mmsmt.SMT`, whose state dict
loads as it is.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.backbones.smt_archs import SMTArch, resolve_arch
from mmsmt.backbones.stages import stack_mixers
from mmsmt.layers import DropPath, LayerScale, linear_drop_path_rates


def to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, N, C) to a contiguous (B, C, H, W)."""
    return tokens.transpose(1, 2).unflatten(2, (height, width)).contiguous()


def to_tokens(image: Tensor) -> Tensor:
    """(B, C, H, W) to a view (B, N, C)."""
    return image.flatten(2).transpose(1, 2)


class PlainStem(nn.Module):
    """Image to tokens at stride 4."""

    def __init__(self, in_channels: int, dim: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, dim, kernel, 2, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 2, 2)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, image: Tensor) -> tuple[Tensor, int, int]:
        image = self.conv2(F.relu(self.bn(self.conv1(image))))
        return self.norm(to_tokens(image)), *image.shape[2:]


class PlainPatchEmbed(nn.Module):
    """Map to tokens at twice the stride."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 3, 2, 1)
        self.norm = nn.LayerNorm(dim, eps=1e-5)

    def forward(self, image: Tensor) -> tuple[Tensor, int, int]:
        image = self.proj(image)
        return self.norm(to_tokens(image)), *image.shape[2:]


class PlainSAM(nn.Module):
    """Scale-aware modulation of tokens."""

    def __init__(self, dim: int, heads: int, expansion: int) -> None:
        super().__init__()
        width = dim // heads
        self.value = nn.Linear(dim, dim)
        self.context = nn.Linear(dim, dim)
        self.head_convs = nn.ModuleList(
            nn.Conv2d(width, width, 3 + 2 * head, padding=1 + head, groups=width)
            for head in range(heads)
        )
        self.expand = nn.Conv2d(dim, expansion * dim, 1, groups=width)
        self.bn = nn.BatchNorm2d(expansion * dim)
        self.reduce = nn.Conv2d(expansion * dim, dim, 1)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        value = self.value(x)
        heads = self.context(x).chunk(len(self.head_convs), dim=-1)
        filtered = [
            conv(to_map(head, height, width))
            for conv, head in zip(self.head_convs, heads, strict=True)
        ]
        groups = torch.stack(filtered, dim=2).flatten(1, 2)  # channel g of every head together
        modulator = self.reduce(F.gelu(self.bn(self.expand(groups))))
        return self.proj(to_tokens(modulator) * value)


class PlainMSA(nn.Module):
    """Softmax attention of tokens, and a depth-wise convolution of the values."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        k, v = self.kv(x).chunk(2, dim=-1)
        local = to_tokens(self.dwconv(to_map(v, height, width)))
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.q(x), k, v))
        scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.proj(mixed + local)


class PlainFFN(nn.Module):
    """Linear, depth-wise 3x3 with identity, GELU, Linear."""

    def __init__(self, dim: int, ratio: float) -> None:
        super().__init__()
        hidden = int(dim * ratio)
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = self.fc1(x)
        return self.fc2(F.gelu(x + to_tokens(self.dwconv(to_map(x, height, width)))))


class PlainBlock(nn.Module):
    """Two residual branches of tokens."""

    def __init__(self, dim: int, mixer: nn.Module, ffn: nn.Module, scale: float, drop: float):
        super().__init__()

        def layer_scale() -> nn.Module:
            return LayerScale(dim, scale) if scale else nn.Identity()

        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.scale1, self.scale2 = layer_scale(), layer_scale()
        self.mixer, self.ffn = mixer, ffn
        self.drop_path = DropPath(drop)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.drop_path(self.scale1(self.mixer(self.norm1(x), height, width)))
        return x + self.drop_path(self.scale2(self.ffn(self.norm2(x), height, width)))


def plain_mixer(mixer: Any, spec: SMTArch, stage: int) -> nn.Module:
    """Build a mixer of a stage, or refuse one that has no plain form by a ValueError."""
    if mixer == 'sam':
        return PlainSAM(spec.embed_dims[stage], spec.sam_heads[stage], spec.sam_expansion)
    if mixer == 'msa':
        return PlainMSA(spec.embed_dims[stage], spec.msa_heads[stage])
    raise ValueError(f'the plain form has the mixers sam and msa, not {mixer!r}')


class PlainSMT(nn.Module):
    """The whole network.

    Args:
        arch: As of `mmsmt.SMT`.
        in_channels: Channels of the image.
        **overrides: As of `mmsmt.SMT`.

    Raises:
        ValueError: If the variant is wrong or has a mixer other than `sam` and `msa`.
    """

    def __init__(self, arch: Any = 'tiny', in_channels: int = 3, **overrides: Any) -> None:
        super().__init__()
        spec = resolve_arch(arch, overrides)
        dims = spec.embed_dims
        rates = linear_drop_path_rates(spec.drop_path_rate, spec.depths)
        self.patch_embeds = nn.ModuleList(
            PlainPatchEmbed(dims[i - 1], dims[i])
            if i
            else PlainStem(in_channels, dims[0], spec.stem_kernel)
            for i in range(4)
        )
        self.stages = nn.ModuleList()
        for i, dim in enumerate(dims):
            mixers = stack_mixers(spec.mixers[i], spec.depths[i], spec.stacking)
            scale, ratio = spec.layer_scale_init_value, spec.mlp_ratios[i]
            self.stages.append(
                nn.ModuleList(
                    PlainBlock(dim, plain_mixer(mixer, spec, i), PlainFFN(dim, ratio), scale, rate)
                    for mixer, rate in zip(mixers, rates[i], strict=True)
                )
            )
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-6) for dim in dims)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map images (B, in_channels, H, W) to the maps (B, C, H, W) of the four stages."""
        maps = []
        for embed, blocks, norm in zip(self.patch_embeds, self.stages, self.norms, strict=True):
            x, height, width = embed(image)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, height, width)
            image = to_map(norm(x), height, width)
            maps.append(image)
        return tuple(maps)

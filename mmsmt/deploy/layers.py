"""Deploy forms of layers, mixers and blocks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.backbones import ConvHead
from mmsmt.deploy.custom_operator import BranchModule, branch_operator, compiles_for_cpu
from mmsmt.deploy.folding import (
    fold_batch_norm,
    fold_identity,
    fold_scale,
    join_kernels,
    merge_groups,
)
from mmsmt.deploy.inverted_bottleneck import InvertedBottleneck
from mmsmt.deploy.prepacked import (
    PackedConv,
    PackedLinear,
    pack_conv,
    pack_linear,
    runs_eagerly_on_cpu,
)
from mmsmt.deploy.tiling import TILE_BYTES, run_in_tiles
from mmsmt.layers import FFN, ConvFFN, ConvStem, LayerScale, ResidualBlock, mix
from mmsmt.mixers import ScaleAwareModulation

# Outputs of a group of a convolution that fill a vector register of 512 bits.
VECTOR = 16


class DeployStem(nn.Module):
    """`ConvStem` with its batch norm folded; large images go through it in strips."""

    def __init__(self, stem: ConvStem) -> None:
        super().__init__()
        self.padding = stem.conv1.kernel_size[0] // 2
        weight, bias = fold_batch_norm(stem.conv1, stem.bn)
        self.conv1 = PackedConv(weight, bias, 'relu', stride=(2, 2), padding=(0, self.padding))
        self.conv2 = pack_conv(stem.conv2)
        self.norm = stem.norm

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, in_channels) to (B, H', W', embed_dims), H' = ceil(H / 2) // 2."""
        x = x.permute(0, 3, 1, 2)
        rows = -(-x.shape[2] // 2) // 2
        step = self._rows_per_strip(x) if runs_eagerly_on_cpu(x) else rows
        x = F.pad(x, (0, 0, self.padding, self.padding))
        if step >= rows:
            x = self.conv2(self.conv1(x))
        else:
            seen = self.conv1.weight.shape[2] - 2  # beyond the four rows that make one
            strips = (
                x[:, :, 4 * top : 4 * min(top + step, rows) + seen] for top in range(0, rows, step)
            )
            x = torch.cat([self.conv2(self.conv1(strip)) for strip in strips], dim=2)
        return self.norm(x.permute(0, 2, 3, 1))

    def _rows_per_strip(self, x: Tensor) -> int:
        """Rows of the result whose first convolution fills a part's memory."""
        pixels = x.shape[0] * 2 * -(-x.shape[3] // 2)  # of the first convolution
        row_bytes = pixels * len(self.conv1.weight) * x.element_size()
        return max(TILE_BYTES // max(row_bytes, 1), 1)


class DeployModulation(nn.Module):
    """`ScaleAwareModulation` as one depth-wise convolution on channels in group-major order.

    The context layer gives its channels in that order at no cost, so that nothing need be moved
    between filter and aggregation; the kernels of all heads are padded to the largest.
    """

    def __init__(self, mixer: ScaleAwareModulation) -> None:
        super().__init__()
        dim, heads = mixer.proj.in_features, mixer.num_heads
        order = torch.arange(dim).reshape(heads, -1).T.flatten()
        kernel, bias = (tensor[order] for tensor in join_kernels(list(mixer.head_convs)))
        sides = (kernel.shape[-1] // 2,) * 2
        expand, expand_bias = fold_batch_norm(mixer.expand, mixer.bn)
        expand, groups = merge_groups(expand, mixer.expand.groups, VECTOR)
        self.modulator = InvertedBottleneck(
            PackedLinear(mixer.context.weight[order], mixer.context.bias[order]),
            [
                PackedConv(kernel, bias, padding=sides, groups=dim),
                PackedConv(expand, expand_bias, 'gelu', groups=groups),
            ],
            PackedLinear(mixer.reduce.weight.flatten(1), mixer.reduce.bias),
        )
        self.value = pack_linear(mixer.value)
        self.proj = pack_linear(mixer.proj)

    @property
    def reach(self) -> int:
        """As of its funnel."""
        return self.modulator.reach

    @property
    def width(self) -> int:
        """As of its funnel."""
        return self.modulator.width

    def forward(self, x: Tensor, other: Tensor, rows: slice) -> Tensor:
        """Map (B, H, W, C) to (B, H', W, C), see `InvertedBottleneck`."""
        modulator = self.modulator(x, None, rows)
        return self.proj(self.value(x[:, rows], modulator, 'mul'), other)


def deploy_ffn(ffn: ConvFFN | FFN) -> InvertedBottleneck:
    """A feed-forward, with the identity in the kernel of its convolution if it has one."""
    narrow = pack_linear(ffn.fc2)
    if isinstance(ffn, FFN):
        return InvertedBottleneck(pack_linear(ffn.fc1, 'gelu'), [], narrow)
    conv = pack_conv(ffn.dwconv, 'gelu')
    conv.weight = fold_identity(ffn.dwconv)
    return InvertedBottleneck(pack_linear(ffn.fc1), [conv], narrow)


class DeployHead(nn.Module):
    """`ConvHead` with its batch norm folded."""

    def __init__(self, head: ConvHead) -> None:
        super().__init__()
        self.conv = PackedConv(*fold_batch_norm(head.conv, head.bn), 'gelu')

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor]:
        """Map the last of some (B, C, H, W) to the only one (B, C', H, W)."""
        return (self.conv(maps[-1]),)


class DeployBlock(BranchModule):
    """`ResidualBlock` without drop path, layer scales folded into linear layers before them."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.position = block.position
        self.keep_position = block.keep_position
        self.norm1 = block.norm1
        self.scale1 = _fold_scale_into(block.mixer, block.scale1)
        self.mixer = block.mixer
        self.norm2 = block.norm2
        self.scale2 = _fold_scale_into(block.ffn, block.scale2)
        self.ffn = block.ffn

    def forward(
        self, x: Tensor, significance: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """See `ResidualBlock.forward`."""
        placed = self.position(x)
        x = placed if self.keep_position else x
        found = None
        if isinstance(self.mixer, DeployModulation):
            x = self._add_branch('mixer', x, placed)
        else:
            mixed, found = mix(self.mixer, self.norm1(placed), significance)
            x = x + self.scale1(mixed)
        if isinstance(self.ffn, InvertedBottleneck):
            x = self._add_branch('ffn', x, x)
        else:
            x = x + self.scale2(self.ffn(self.norm2(x)))
        return x if found is None else (x, found)

    def _add_branch(self, name: str, x: Tensor, source: Tensor) -> Tensor:
        if compiles_for_cpu(source):
            return branch_operator(self.number, name, x, source)
        return self.run_branch(name, x, source)

    def run_branch(self, name: str, x: Tensor, source: Tensor) -> Tensor:
        """x + branch(norm(source)), of `mixer` or `ffn`."""
        norm = self.norm1 if name == 'mixer' else self.norm2
        branch = getattr(self, name)

        def step(seen: Tensor, other: Tensor, rows: slice) -> Tensor:
            result: Tensor = branch(norm(seen), other, rows)
            return result

        return run_in_tiles(step, source, x, branch.reach, branch.width)


def _fold_scale_into(branch: nn.Module, scale: nn.Module) -> nn.Module:
    """Fold a layer scale into a branch's last layer; what cannot be folded is given back."""
    for name in ('proj', 'output_proj', 'fc2'):
        layer = getattr(branch, name, None)
        if isinstance(scale, LayerScale) and isinstance(layer, nn.Linear) and type(layer) in FORMS:
            setattr(branch, name, fold_scale(layer, scale))
            return nn.Identity()
    return scale


FORMS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    ConvStem: DeployStem,
    ScaleAwareModulation: DeployModulation,
    ConvFFN: deploy_ffn,
    FFN: deploy_ffn,
    ConvHead: DeployHead,
    nn.Linear: pack_linear,
    nn.Conv2d: pack_conv,
}

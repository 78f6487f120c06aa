"""Base class of four-stage backbones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmsmt.backbones.weights import ReleasedWeightsModule
from mmsmt.errors import ConfigError
from mmsmt.layers import gives_significance, takes_significance


class FeatureInfo(NamedTuple):
    """Channels of one output, and its stride in pixels of the image.

    Examples:
        >>> from mmsmt.backbones import SMT
        >>> SMT(arch='tiny', out_indices=(2, 3)).feature_info[0]
        FeatureInfo(channels=256, stride=16)
    """

    channels: int
    stride: int


@contextmanager
def _untouched_statistics(module: nn.Module) -> Iterator[None]:
    """Give batch norms throw-away buffers, so that recomputation does not count a batch twice."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    kept = [dict(norm._buffers) for norm in norms]
    for norm in norms:
        norm._buffers.update({k: b.clone() for k, b in norm._buffers.items() if b is not None})
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            norm._buffers.update(buffers)


@torch.fx.wrap
def check_images(x: Tensor, channels: int, least: int) -> Tensor:
    """Return images (B, channels, H, W) unchanged after checking them.

    Raises:
        ConfigError: If they have another shape, or a side shorter than `least` pixels.
        ValueError: If they are integers.
    """
    if x.ndim != 4 or x.shape[1] != channels:
        raise ConfigError(f'expected images (B, {channels}, H, W), got {tuple(x.shape)}')
    if not x.is_floating_point():
        raise ValueError(f'expected images of floating-point numbers, got {x.dtype}')
    if min(x.shape[2:]) < least:
        raise ConfigError(
            f'image of {x.shape[2]} x {x.shape[3]} is too small, the stem needs at least '
            f'{least} x {least} pixels'
        )
    return x


def _run(block: nn.Module, *inputs: Tensor, recompute: bool) -> Any:
    if not (recompute and torch.is_grad_enabled()):
        return block(*inputs)
    if torch.compiler.is_compiling():  # compiled recomputation leaves buffers alone
        return checkpoint(block, *inputs, use_reentrant=False)
    return checkpoint(
        block,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _untouched_statistics(block)),
    )


def _is_in(least: int, value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


class FourStageBackbone(ReleasedWeightsModule):
    """Base of networks with four stages at strides 4, 8, 16 and 32.

    A stage is a patch embedding, blocks and a norm, all on channels-last maps. Its normalised
    result is an output and, by default, the input of the next stage. Subclasses build these
    modules and pass them on.

    Args:
        patch_embeds: One per stage, (B, H, W, C_in) -> (B, H', W', C).
        stages: Blocks of each stage, (B, H, W, C) -> (B, H, W, C).
        norms: One per stage.
        embed_dims: Channels of each stage.
        chain_norms: Whether the normalised map is passed to the next stage. If not, the norms of
            stages that are not returned are unused and frozen.
        in_channels: Channels of the image.
        out_indices: Stages whose maps are returned, in this order, from 0. Stages after the last
            of them do not run and are frozen, but stay in the state dict.
        frozen_stages: Freeze patch embedding, blocks and norm of stages 1 to this number;
            -1 or 0 for none. Frozen parts stay in evaluation mode.
        norm_eval: Keep batch norms in evaluation mode while training.
        with_cp: Recompute blocks in the backward pass to save memory: one flag for all stages, or
            one per stage.
        init_cfg: See `ReleasedWeightsModule`.

    Raises:
        ValueError: If `out_indices` or `frozen_stages` is out of range, or `with_cp` has the
            wrong number of flags.
    """

    strides: ClassVar[tuple[int, ...]] = (4, 8, 16, 32)

    def __init__(
        self,
        patch_embeds: Sequence[nn.Module],
        stages: Sequence[Sequence[nn.Module]],
        norms: Sequence[nn.Module],
        embed_dims: Sequence[int],
        chain_norms: bool = True,
        in_channels: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool | Sequence[bool] = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        out_indices = tuple(out_indices) if isinstance(out_indices, Sequence) else (out_indices,)
        last = len(self.strides) - 1
        if not out_indices or any(not _is_in(0, i, last) for i in out_indices):
            raise ConfigError(f'out_indices must be one or more of 0 to {last}, got {out_indices}')
        if not _is_in(-1, frozen_stages, last + 1):
            raise ConfigError(f'frozen_stages must be from -1 to {last + 1}, got {frozen_stages}')
        recomputed = tuple(with_cp) if isinstance(with_cp, Sequence) else (with_cp,) * (last + 1)
        if len(recomputed) != last + 1 or not all(isinstance(flag, bool) for flag in recomputed):
            raise ConfigError(f'with_cp must be one flag or {last + 1}, got {with_cp}')
        self.patch_embeds = nn.ModuleList(patch_embeds)
        self.stages = nn.ModuleList([nn.ModuleList(blocks) for blocks in stages])
        self.norms = nn.ModuleList(norms)
        self.embed_dims = tuple(embed_dims)
        self.chain_norms = chain_norms
        self.in_channels = in_channels
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = recomputed
        for part in self._frozen_parts():
            part.requires_grad_(False)
        self.train()

    @property
    def feature_info(self) -> tuple[FeatureInfo, ...]:
        """Channels and stride of every output, in the order of `out_indices`."""
        return tuple(FeatureInfo(self.embed_dims[i], self.strides[i]) for i in self.out_indices)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return the layer of a parameter, for layer-wise learning rate decay.

        The interface is that of mmpretrain's optimizer constructor. The stem is layer 0 and every
        block a layer; a patch embedding counts with the block after it, a stage's norm with the
        block before it.

        Args:
            param_name: Name in the whole model.
            prefix: Name of this backbone in it, with a dot.

        Returns:
            The layer and the number of layers; parameters outside the backbone are in the last
            layer.
        """
        depths = [len(cast(nn.ModuleList, blocks)) for blocks in self.stages]
        layers = sum(depths) + 2
        part, _, rest = param_name.removeprefix(prefix).partition('.')
        if not param_name.startswith(prefix) or part not in ('patch_embeds', 'stages', 'norms'):
            return layers - 1, layers
        stage, _, rest = rest.partition('.')
        before = sum(depths[: int(stage)])
        if part == 'patch_embeds':
            return before + (int(stage) > 0), layers
        if part == 'norms':
            return before + depths[int(stage)], layers
        return before + 1 + int(rest.partition('.')[0]), layers

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images (B, in_channels, H, W) to one map (B, C_i, H_i, W_i) per output.

        The outputs are contiguous, as the operators of mmcv require.

        Raises:
            ValueError: If the input has another shape, is too small for the stem or is integer.
        """
        features, _ = self.run_stages(x, max(self.out_indices))
        # Contiguous: mmcv 2.1.0's RoIAlign ignores strides and computes nonsense from a
        # channels-last map, without an error.
        return tuple(features[i].permute(0, 3, 1, 2).contiguous() for i in self.out_indices)

    def significance(self, x: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """Return maps of how much attention every pixel receives, for visualisation.

        Args:
            x: Images (B, in_channels, H, W).

        Returns:
            One tuple per stage, with a map (B, H_i, W_i) for every block that gives one.

        Raises:
            ValueError: See `forward`.
        """
        with torch.no_grad():
            return tuple(self.run_stages(x, len(self.strides) - 1)[1])

    def run_stages(self, x: Tensor, last: int) -> tuple[list[Tensor], list[tuple[Tensor, ...]]]:
        """Return the normalised maps (B, H, W, C) and significance maps of stages 0 to `last`."""
        least = getattr(self.patch_embeds[0], 'min_size', 1)
        x = check_images(x, self.in_channels, least).permute(0, 2, 3, 1).contiguous()
        features, significances = [], []
        for i in range(last + 1):
            x, maps = self._run_blocks(i, self.patch_embeds[i](x))
            features.append(self.norms[i](x))
            x = features[-1] if self.chain_norms else x
            significances.append(maps)
        return features, significances

    def _run_blocks(self, i: int, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run stage i; blocks that take significance get that of the last block that gave it."""
        maps: list[Tensor] = []
        recompute = self.with_cp[i] and self.training
        for block in cast(nn.ModuleList, self.stages[i]):
            mixer = cast(nn.Module, block.mixer)
            guides = maps[-1:] if takes_significance(mixer) else []
            x = _run(block, x, *guides, recompute=recompute)
            if gives_significance(mixer):
                x, significance = x
                maps.append(significance)
        return x, tuple(maps)

    def _frozen_parts(self) -> Iterator[nn.Module]:
        for i in range(len(self.strides)):
            if i < self.frozen_stages or i > max(self.out_indices):
                yield from (self.patch_embeds[i], self.stages[i], self.norms[i])
        if not self.chain_norms:
            yield from (n for i, n in enumerate(self.norms) if i not in self.out_indices)

    def train(self, mode: bool = True) -> 'FourStageBackbone':
        """Set the mode; frozen stages, and batch norms under `norm_eval`, stay in eval mode."""
        super().train(mode)
        if mode:
            for part in self._frozen_parts():
                part.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

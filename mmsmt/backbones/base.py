"""Base class of four-stage backbones: stage loop, frozen stages, checkpointing."""

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
    """Channels of one output and its stride in pixels of the image."""

    channels: int
    stride: int


@contextmanager
def _untouched_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch norms update throw-away buffers: a recomputation must not count twice."""
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
    """Return images (B, channels, H, W) as they are.

    Raises:
        ConfigError: If they have another shape, or a side below `least` pixels.
        ValueError: If they hold integers.
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
    if torch.compiler.is_compiling():  # there recomputation leaves buffers alone by itself
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

    A stage is a patch embedding, blocks and a norm, all on channels-last maps; its
    normalised result is an output and, by default, the input of the next stage. A subclass
    builds them and passes them on.

    Args:
        patch_embeds: One per stage, (B, H, W, C_in) to (B, H', W', C).
        stages: Blocks of each stage, (B, H, W, C) to the same.
        norms: One per stage.
        embed_dims: Channels of each stage.
        chain_norms: Whether a stage's input is normalised. Else norms of stages that are not
            returned have no use and are frozen.
        in_channels: Channels of the image.
        out_indices: Stages whose maps are returned, in this order, from 0. Stages behind the last
            of them do not run and are frozen; a state dict holds them all the same.
        frozen_stages: Freeze patch embedding, blocks and norm of stages 1 to this number;
            -1 or 0 for none. Frozen parts stay in evaluation mode.
        norm_eval: Keep batch norms in evaluation mode while training.
        with_cp: Recompute blocks in the backward pass to save memory; a flag for all stages, or
            one for each.
        init_cfg: See `ReleasedWeightsModule`.

    Raises:
        ValueError: If `out_indices` or `frozen_stages` is out of range, or `with_cp` has not one
            flag a stage.
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
            raise ConfigError(
                f'out_indices must be in 0 to {last}, at least one, got {out_indices}'
            )
        if not _is_in(-1, frozen_stages, last + 1):
            raise ConfigError(f'frozen_stages must be in -1 to {last + 1}, got {frozen_stages}')
        recomputed = tuple(with_cp) if isinstance(with_cp, Sequence) else (with_cp,) * (last + 1)
        if len(recomputed) != last + 1 or not all(isinstance(flag, bool) for flag in recomputed):
            raise ConfigError(f'with_cp must be a flag or {last + 1} of them, got {with_cp}')
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
        """Depth of a parameter, for a rate that falls from the head towards the stem.

        As mmpretrain's constructor asks for it. The stem is layer 0, every block a layer; a
        patch embedding counts with the block after it, a stage's norm with the one before.

        Args:
            param_name: Name in the whole model.
            prefix: Of this backbone in it.

        Returns:
            The layer and the number of layers; what is not of the backbone is the last layer.
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
        """Map images (B, in_channels, H, W) to one (B, C_i, H_i, W_i) per output.

        The outputs are contiguous, as operators of mmcv need them.

        Raises:
            ValueError: If the input has another shape, is too small for the stem or has integers.
        """
        features, _ = self.run_stages(x, max(self.out_indices))
        # Not as views: mmcv 2.1.0's RoIAlign takes any map's memory for contiguous and computes
        # nonsense from a channels-last one, without an error.
        return tuple(features[i].permute(0, 3, 1, 2).contiguous() for i in self.out_indices)

    def significance(self, x: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """Maps of how much attention every pixel receives, for looking at them.

        Args:
            x: Images (B, in_channels, H, W).

        Returns:
            One tuple per stage, with one map (B, H_i, W_i) for every block in it that gives one,
            so none for a stage without such blocks.

        Raises:
            ValueError: As `forward`.
        """
        with torch.no_grad():
            return tuple(self.run_stages(x, len(self.strides) - 1)[1])

    def run_stages(self, x: Tensor, last: int) -> tuple[list[Tensor], list[tuple[Tensor, ...]]]:
        """Normalised maps (B, H, W, C) and significance maps of the stages up to `last`."""
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
        """Run stage i; the significance that a block gives serves those after it that take it."""
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
        """Set the mode; frozen stages, and batch norms under `norm_eval`, stay in evaluation."""
        super().train(mode)
        if mode:
            for part in self._frozen_parts():
                part.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

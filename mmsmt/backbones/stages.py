"""Construction of the blocks of all four stages from a variant's fields."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from torch import nn

from mmsmt.errors import ConfigError
from mmsmt.layers import (
    ConvFFN,
    ResidualBlock,
    gives_significance,
    linear_drop_path_rates,
    takes_significance,
)
from mmsmt.mixers import MixerSpec, build_mixer

# One entry per stage: a mixer, or several that are distributed over its blocks.
Mixers = Sequence[MixerSpec | Sequence[MixerSpec]]


class StageFields(Protocol):
    """The fields of a variant that describe its blocks; sequences have one entry per stage."""

    @property
    def embed_dims(self) -> Sequence[int]: ...
    @property
    def depths(self) -> Sequence[int]: ...
    @property
    def mlp_ratios(self) -> Sequence[float]: ...
    @property
    def mixers(self) -> Mixers: ...
    @property
    def stacking(self) -> str: ...
    @property
    def drop_path_rate(self) -> float: ...
    @property
    def layer_scale_init_value(self) -> float: ...


STACKINGS = ('alternate', 'halves')


def check_stacking(stacking: str) -> None:
    """Raise ValueError unless `stack_mixers` knows the stacking."""
    if stacking not in STACKINGS:
        raise ConfigError(f'unknown stacking {stacking!r}; known: {", ".join(STACKINGS)}')


def stack_mixers(
    mixers: MixerSpec | Sequence[MixerSpec], depth: int, stacking: str = 'alternate'
) -> list[MixerSpec]:
    """Distribute a stage's mixers over its blocks; a list of `depth` mixers is unchanged.

    Raises:
        ValueError: If there are none, or more than blocks (except a pair for one block).
    """
    choices: list[Any] = list(mixers) if isinstance(mixers, list | tuple) else [mixers]
    if not 1 <= len(choices) <= max(depth, 2):
        raise ConfigError(f'mixers: {len(choices)} given for a stage of {depth} blocks')
    if stacking == 'halves':
        return [choices[block * len(choices) // depth] for block in range(depth)]
    return [choices[block % len(choices)] for block in range(depth)]


def check_guidance(stage: int, blocks: Sequence[ResidualBlock]) -> None:
    """Raise ValueError if a block takes significance and none before it gives any."""
    for block in blocks:
        if takes_significance(block.mixer):
            raise ConfigError(
                f'mixers: {type(block.mixer).__name__} takes significance, so a block before it in '
                f'stage {stage} has to give it, as one with HybridScaleAttention does'
            )
        if gives_significance(block.mixer):
            return


def build_stages(
    arch: StageFields,
    options: Sequence[dict[str, dict[str, Any]]],
    ffn: Callable[[int, float], nn.Module] = ConvFFN,
    norm_eps: Mapping[type[nn.Module], float] = MappingProxyType({}),
    position: Callable[[int, nn.Module], nn.Module | None] = lambda stage, mixer: None,
    keep_position: bool = True,
) -> list[list[ResidualBlock]]:
    """Build the blocks of all stages, with drop path increasing over the whole network.

    Args:
        arch: Fields of the variant.
        options: For each stage, the network's arguments for mixers given by name.
        ffn: Builds the feed-forward of a block from its channels and ratio.
        norm_eps: Epsilon of a block's norms, by the class of its mixer; 1e-6 for other classes.
        position: Builds the module that adds positions in the first block of a stage, or None, from
            the stage's index and that block's mixer.
        keep_position: See `ResidualBlock`.

    Returns:
        The blocks of each stage.

    Raises:
        ValueError: If a mixer is unknown, too many are given, their arguments do not fit, or one
            lacks the significance that it takes.
    """
    rates = linear_drop_path_rates(arch.drop_path_rate, arch.depths)
    stages = []
    for i, dim in enumerate(arch.embed_dims):
        mixers = stack_mixers(arch.mixers[i], arch.depths[i], arch.stacking)
        built = [build_mixer(mixer, dim, options[i]) for mixer in mixers]
        blocks = [
            ResidualBlock(
                dim,
                mixer=mixer,
                ffn=ffn(dim, arch.mlp_ratios[i]),
                drop_path=rate,
                layer_scale_init_value=arch.layer_scale_init_value,
                norm_eps=norm_eps.get(type(mixer), 1e-6),
                position=None if j else position(i, mixer),
                keep_position=keep_position,
            )
            for j, (mixer, rate) in enumerate(zip(built, rates[i], strict=True))
        ]
        check_guidance(i + 1, blocks)
        stages.append(blocks)
    return stages

"""Variants of SG-Former, and their inference from a state dict.

Paper: https://arxiv.org/abs/2308.12216, table 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

from torch import Tensor

from mmsmt.backbones.stages import Mixers, check_stacking
from mmsmt.backbones.variants import (
    Inferred,
    check_fields,
    infer_stages,
    name_nearest,
    resolve_fields,
)

_PAIR = ('hybrid_scale', 'self_guided')


@dataclass(frozen=True)
class SGFormerArch:
    """The fields of a variant; sequences have one entry per stage.

    Args:
        embed_dims: Channels.
        depths: Number of blocks.
        num_heads: Heads of attention; even for hybrid-scale and self-guided blocks.
        mlp_ratios: Hidden width of the feed-forward as a multiple of the channels.
        reductions: Factor by which the global heads of hybrid-scale blocks reduce height and
            width.
        runs: How many tokens self-guided blocks merge into one, see `SelfGuidedAttention`.
        window: Side of the windows of the local heads.
        position_grid: Side of the square position table, ideally the height of stage 1's map
            of a training image.
        layer_scale_init_value: Initial layer scale, 0 for none.
        drop_path_rate: Stochastic-depth rate of the last block.
        mixers: Mixer of a stage, or several that `stacking` distributes.
        stacking: `alternate` repeats a stage's mixers in turn, `halves` gives each a run of
            blocks.
    """

    embed_dims: Sequence[int]
    depths: Sequence[int]
    num_heads: Sequence[int] = (2, 4, 8, 16)
    mlp_ratios: Sequence[float] = (4, 4, 4, 4)
    reductions: Sequence[int] = (8, 4, 2, 1)
    # The paper's stage 4 has no such blocks; the entry is for custom `mixers`.
    runs: Sequence[Sequence[int]] = ((196, 56, 28), (49, 14, 7), (2, 1), (1, 1))
    window: int = 7
    position_grid: int = 56
    layer_scale_init_value: float = 0.0
    drop_path_rate: float = 0.0
    mixers: Mixers = (_PAIR, _PAIR, _PAIR, 'msa')
    stacking: str = 'alternate'


# Released configurations, with the drop path of ImageNet-1K. `pico` is ours, for digits of 64
# pixels and scenes of 256: its runs divide the maps of 64 pixels into 17, 17 and 12 tokens, as the
# released ones divide those of 224 pixels into 60, 60 and 147.
ARCHS = {
    'pico': SGFormerArch(
        (32, 64, 128, 256),
        (2, 2, 2, 1),
        num_heads=(2, 2, 4, 8),
        mlp_ratios=(4, 4, 4, 2),
        runs=((64, 16, 8), (16, 4, 2), (2, 1), (1, 1)),
        position_grid=16,
    ),
    'small': SGFormerArch((64, 128, 256, 512), (2, 4, 16, 1), drop_path_rate=0.1),
    'medium': SGFormerArch((64, 128, 256, 512), (2, 6, 28, 2), drop_path_rate=0.2),
    'base': SGFormerArch(
        (96, 192, 384, 768), (4, 6, 24, 2), num_heads=(4, 6, 12, 24), drop_path_rate=0.4
    ),
}


def resolve_arch(arch: str | dict[str, Any], overrides: dict[str, Any]) -> SGFormerArch:
    """Return the fields of a variant with some of them replaced.

    Args:
        arch: A name of `ARCHS`, or a dict of the fields of `SGFormerArch`.
        overrides: Fields to replace; None keeps the variant's.

    Returns:
        The complete fields.

    Raises:
        ValueError: If the name, a field or a length is wrong; the message lists the valid ones.
    """
    resolved = resolve_fields(ARCHS, arch, overrides)
    counts = ('embed_dims', 'depths', 'num_heads', 'reductions')
    check_fields(resolved, counts, ('window', 'position_grid'), ('runs',))
    check_stacking(resolved.stacking)
    return resolved


def infer(state: Mapping[str, Tensor]) -> Inferred | None:
    """Infer the network from a state dict.

    Args:
        state: Entries under our names, possibly incomplete.

    Returns:
        The variant, its shape and the arguments of `SGFormer`; None if the entries are not
            those of an SG-Former.
    """
    stages = infer_stages(state)
    stem = state.get('patch_embeds.0.stem.conv1.conv.weight')
    table = state.get('patch_embeds.0.position.table')
    if stages is None or stem is None or table is None or stem.ndim != 4 or table.ndim != 3:
        return None
    shape: dict[str, Any] = {
        **stages,
        'position_grid': isqrt(table.shape[1]),
        'in_channels': stem.shape[1],
    }
    names = ('embed_dims', 'depths', 'mlp_ratios')
    shapes = {
        arch: {name: list(getattr(spec, name)) for name in names} for arch, spec in ARCHS.items()
    }
    variant = name_nearest(shape, shapes)
    options = {**shape, **_mixer_fields(state, shape['depths'])}
    options['layer_scale_init_value'] = float('stages.0.0.scale1.weight' in state)
    options['num_heads'] = ARCHS[variant].num_heads if variant in ARCHS else (2, 2, 2, 2)
    in_channels = options.pop('in_channels')
    return Inferred(variant, shape, dict(arch=options, in_channels=in_channels))


def _mixer_fields(state: Mapping[str, Tensor], depths: Sequence[int]) -> dict[str, Any]:
    """Infer `mixers`, `reductions` and `runs`; 1 for a stage that has none."""
    mixers, reductions, runs = [], [], []
    for i, depth in enumerate(depths):
        stage, reduction, merged = [], 1, [1, 1]
        for j in range(depth):
            mixer = f'stages.{i}.{j}.mixer'
            merges = [state.get(f'{mixer}.merges.{k}.weight') for k in range(3)]
            if (reduce := state.get(f'{mixer}.reduce.weight')) is not None:
                stage.append('hybrid_scale')
                reduction = reduce.shape[-1]
            elif merges[0] is not None:
                stage.append('self_guided')
                merged = [merge.shape[-1] for merge in merges if merge is not None]
            else:
                stage.append('msa')
        mixers.append(stage)
        reductions.append(reduction)
        runs.append(merged)
    return {'mixers': mixers, 'reductions': reductions, 'runs': runs}

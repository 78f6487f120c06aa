"""Variants of SMT, and their inference from a state dict.

Paper: https://arxiv.org/abs/2307.08579, table 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from mmsmt.errors import ConfigError


@dataclass(frozen=True)
class SMTArch:
    """The fields of a variant; sequences have one entry per stage.

    Args:
        embed_dims: Channels.
        depths: Number of blocks.
        mlp_ratios: Hidden width of the feed-forward as a multiple of the channels.
        stem_kernel: Kernel of the first convolution.
        layer_scale_init_value: Initial layer scale, 0 for none.
        drop_path_rate: Stochastic-depth rate of the last block.
        sam_heads: Heads of SAM blocks.
        sam_expansion: Width of SAM's aggregation as a multiple of the channels.
        msa_heads: Heads of attention blocks. The paper's stages 1 and 2 have none; their
            entries keep the channels per head.
        mixers: Mixer of a stage, or several that `stacking` distributes.
        stacking: `alternate` repeats a stage's mixers in turn (the paper's choice),
            `halves` gives each a run of blocks (the paper's ablation).
    """

    embed_dims: Sequence[int]
    depths: Sequence[int]
    mlp_ratios: Sequence[float]
    stem_kernel: int = 3
    layer_scale_init_value: float = 0.0
    drop_path_rate: float = 0.0
    sam_heads: Sequence[int] = (4, 4, 4, 4)
    sam_expansion: int = 2
    msa_heads: Sequence[int] = (2, 4, 8, 16)
    mixers: Mixers = ('sam', 'sam', ('sam', 'msa'), 'msa')
    stacking: str = 'alternate'


# Table 1 of the paper and the released configurations, with the drop path of ImageNet-1K (of
# ImageNet-22K for large). `small` is as released: the published parameter counts are those of
# depths (3, 4, 18, 1), the published FLOPs and the checkpoint those of (3, 4, 18, 2).
# `pico` is ours: for digits of 64 pixels and scenes of 256, 1.4 M parameters.
ARCHS = {
    'pico': SMTArch((32, 64, 128, 256), (1, 1, 2, 1), (4, 4, 4, 2), msa_heads=(1, 2, 4, 8)),
    'tiny': SMTArch((64, 128, 256, 512), (2, 2, 8, 1), (4, 4, 4, 2), drop_path_rate=0.1),
    'small': SMTArch((64, 128, 256, 512), (3, 4, 18, 2), (4, 4, 4, 2), drop_path_rate=0.2),
    'base': SMTArch(
        (64, 128, 256, 512), (4, 6, 28, 2), (8, 6, 4, 2), stem_kernel=7, drop_path_rate=0.3
    ),
    'large': SMTArch(
        (96, 192, 384, 768),
        (4, 6, 28, 4),
        (8, 6, 4, 2),
        stem_kernel=7,
        layer_scale_init_value=1e-4,
        drop_path_rate=0.1,
    ),
}


def resolve_arch(arch: str | dict[str, Any], overrides: dict[str, Any]) -> SMTArch:
    """Return the fields of a variant with some of them replaced.

    Args:
        arch: A name of `ARCHS`, or a dict of the fields of `SMTArch`.
        overrides: Fields to replace; None keeps the variant's.

    Returns:
        The complete fields.

    Raises:
        ValueError: If the name, a field or a length is wrong; the message lists the valid ones.
    """
    resolved = resolve_fields(ARCHS, arch, overrides)
    counts = ('embed_dims', 'depths', 'sam_heads', 'msa_heads')
    check_fields(resolved, counts, ('sam_expansion', 'stem_kernel'))
    if resolved.stem_kernel % 2 == 0:
        raise ConfigError(f'stem_kernel must be odd, got {resolved.stem_kernel}')
    check_stacking(resolved.stacking)
    return resolved


def infer(state: Mapping[str, Tensor]) -> Inferred | None:
    """Infer the network from a state dict.

    Args:
        state: Entries under our names, possibly incomplete.

    Returns:
        The variant, its shape and the arguments of `SMT`; None if the entries are not those of an
        SMT.
    """
    stages = infer_stages(state)
    stem = state.get('patch_embeds.0.conv1.weight')
    if stages is None or stem is None or stem.ndim != 4:
        return None
    shape = {
        **stages,
        'stem_kernel': stem.shape[3],
        'layer_scale': 'stages.0.0.scale1.weight' in state,
        'in_channels': stem.shape[1],
    }
    variant = name_nearest(shape, {name: _shape(spec) for name, spec in ARCHS.items()})
    arch = variant if variant in ARCHS else _fields(state, shape)
    return Inferred(variant, shape, dict(arch=arch, in_channels=shape['in_channels']))


def _shape(spec: SMTArch) -> dict[str, Any]:
    """Return the fields that identify a variant in a file."""
    return {
        'embed_dims': list(spec.embed_dims),
        'depths': list(spec.depths),
        'mlp_ratios': list(spec.mlp_ratios),
        'stem_kernel': spec.stem_kernel,
        'layer_scale': spec.layer_scale_init_value > 0,
    }


def _fields(state: Mapping[str, Tensor], shape: dict[str, Any]) -> dict[str, Any]:
    """Infer the fields of `SMTArch` that decide names and shapes, for an unknown variant."""
    heads = [
        [
            {n.split('.')[5] for n in state if n.startswith(f'stages.{i}.{j}.mixer.head_convs.')}
            for j in range(depth)
        ]
        for i, depth in enumerate(shape['depths'])
    ]
    return dict(
        embed_dims=shape['embed_dims'],
        depths=shape['depths'],
        mlp_ratios=shape['mlp_ratios'],
        stem_kernel=shape['stem_kernel'],
        layer_scale_init_value=float(shape['layer_scale']),
        sam_heads=[max(map(len, stage)) or 1 for stage in heads],
        msa_heads=(1, 1, 1, 1),
        mixers=[['sam' if convs else 'msa' for convs in stage] for stage in heads],
    )

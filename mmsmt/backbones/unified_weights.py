"""Unified models in state dicts: inference of the variant, interpolation of position tables."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from mmsmt.backbones.unified_archs import ARCHS, BEHAVIOURS
from mmsmt.backbones.variants import Inferred, infer_stages, name_nearest
from mmsmt.layers import stretch_map


def _stretch_bias(table: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Interpolate relative biases (n * n, heads) of a square of offsets bicubically, per head."""
    theirs, ours = isqrt(table.shape[0]), isqrt(shape[0])
    if theirs**2 != table.shape[0] or ours**2 != shape[0]:
        return table
    grid = table.T.unflatten(1, (theirs, theirs))[None]
    grid = F.interpolate(grid, (ours, ours), mode='bicubic', align_corners=False)
    return grid[0].flatten(1).T


def _stretch_line(table: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Interpolate relative positions (n, d) on a line, keeping its ends aligned."""
    line = F.interpolate(table.T[None], shape[0], mode='linear', align_corners=True)
    return line[0].T


def _stretch_position(table: Tensor, shape: tuple[int, ...]) -> Tensor:
    return stretch_map(table, (shape[2], shape[3]))


# By the ending of a name: function, number of axes, axis that must agree.
_TABLES = {
    '.mixer.relative_position_bias_table': (_stretch_bias, 2, 1),
    '.mixer.height_rel': (_stretch_line, 2, 1),
    '.mixer.width_rel': (_stretch_line, 2, 1),
    '.position.table': (_stretch_position, 4, 1),
}


def fit_tables(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Interpolate position tables of another size in place, as the released code does.

    Args:
        state: Entries of a file under our names.
        own: The network's entries.
    """
    for name, value in state.items():
        for ending, (stretch, axes, kept) in _TABLES.items():
            if not name.endswith(ending) or name not in own:
                continue
            shape = tuple(own[name].shape)
            if value.ndim == axes and value.shape != shape and value.shape[kept] == shape[kept]:
                state[name] = stretch(value.float(), shape).to(value.dtype).contiguous()


# Entries that identify a mixer, in the order of checking: msa and sra have only the common ones.
_TRACES = {
    'window': 'qkv.weight',
    'halo': 'height_rel',
    'dcnv3': 'sampling_offsets.weight',
    'dwconv': 'input_proj.weight',
    'sam': 'head_convs.0.weight',
    'msa': 'dwconv.weight',
    'sra': 'kv.weight',
}


def _mixer_of(state: Mapping[str, Tensor], block: str) -> str:
    traces = (m for m, entry in _TRACES.items() if f'{block}.mixer.{entry}' in state)
    return next(traces, '')


def _heads(state: Mapping[str, Tensor], stage: int) -> int:
    """Infer the heads of a stage's first block from its shapes; 1 if they do not show them."""
    mixer = f'stages.{stage}.0.mixer.'
    if (biases := state.get(mixer + 'relative_position_bias_table')) is not None:
        return biases.shape[1]
    if (rows := state.get(mixer + 'height_rel')) is not None:
        return state[mixer + 'proj.weight'].shape[0] // rows.shape[1]
    if (offsets := state.get(mixer + 'sampling_offsets.weight')) is not None:
        return offsets.shape[0] // 18  # 9 points of two coordinates
    return 1


def infer(state: Mapping[str, Tensor]) -> Inferred | None:
    """Infer the network from a state dict.

    Args:
        state: Entries under our names, possibly incomplete.

    Returns:
        The variant, its shape and the arguments of `UnifiedBackbone`; None if the entries are
            not those of a unified model.
    """
    stages = infer_stages(state)
    stem = state.get('patch_embeds.0.step1.proj.weight')
    if stages is None or stem is None or stem.ndim != 4:
        return None
    mixers = [
        [_mixer_of(state, f'stages.{i}.{j}') for j in range(depth)]
        for i, depth in enumerate(stages['depths'])
    ]
    kinds = {mixer for stage in mixers for mixer in stage}
    mixer = mixers[-1][-1]
    if '' in kinds:
        return None
    shape = {
        'mixer': mixer,
        **stages,
        'behaviour': BEHAVIOURS['norms.0.out.weight' in state],
        'in_channels': stem.shape[1],
    }
    variant = name_nearest(
        shape,
        {
            name: {key: list(getattr(spec, key)) for key in stages}
            for name, spec in ARCHS[mixer].items()
        },
    )
    options: dict[str, Any] = {key: shape[key] for key in ('mixer', 'behaviour', 'in_channels')}
    options['arch'] = variant
    if variant not in ARCHS[mixer]:
        heads = [_heads(state, i) for i in range(4)]
        options['arch'] = {**{key: shape[key] for key in stages}, 'num_heads': heads}
    if len(kinds) > 1:
        options['mixers'] = mixers
    options['layer_scale_init_value'] = 1e-6 * ('stages.0.0.scale1.weight' in state)
    reduced = [state.get(f'stages.{i}.0.mixer.reduce.weight') for i in range(4)]
    if mixer == 'sra':
        options['reductions'] = [1 if r is None else r.shape[-1] for r in reduced]
    if (table := state.get('stages.0.0.position.table')) is not None:
        # Images with maps of the same size in stage 1 have maps of the same size in all stages.
        options['image_size'] = (4 * table.shape[2], 4 * table.shape[3])
    return Inferred(variant, shape, options)

"""Spatial token mixers, one per file: modules (B, H, W, C) -> (B, H, W, C).

A mixer declares what else it takes or returns. With `gives_significance = True` it also returns
the significance of the pixels; with `takes_significance = True` it takes it as second argument.
"""

import inspect
from typing import Any

from torch import nn

from mmsmt.errors import ConfigError
from mmsmt.mixers.dcnv3 import DeformableConvV3
from mmsmt.mixers.dwconv import DepthwiseConv
from mmsmt.mixers.halo import HaloAttention
from mmsmt.mixers.hybrid_scale import HybridScaleAttention
from mmsmt.mixers.msa import MultiHeadSelfAttention
from mmsmt.mixers.sam import ScaleAwareModulation
from mmsmt.mixers.self_guided import SelfGuidedAttention
from mmsmt.mixers.sra import SpatialReductionAttention
from mmsmt.mixers.window import ShiftedWindowAttention

MIXERS: dict[str, type[nn.Module]] = {
    'sam': ScaleAwareModulation,
    'msa': MultiHeadSelfAttention,
    'hybrid_scale': HybridScaleAttention,
    'self_guided': SelfGuidedAttention,
    'halo': HaloAttention,
    'window': ShiftedWindowAttention,
    'dcnv3': DeformableConvV3,
    'sra': SpatialReductionAttention,
    'dwconv': DepthwiseConv,
}

MixerSpec = str | type[nn.Module] | dict[str, Any]


def build_mixer(spec: MixerSpec, dim: int, defaults: dict[str, dict[str, Any]]) -> nn.Module:
    """Build the mixer of one block.

    Args:
        spec: A name of `MIXERS`, a module class whose first argument is the number of
            channels, or a dict of `type` (either) and further arguments.
        dim: Number of channels C.
        defaults: The network's arguments for a mixer given by name (such as the heads of the
            stage); those in `spec` win.

    Returns:
        A module on (B, H, W, C).

    Raises:
        ValueError: If the name, or an argument of its mixer, is unknown; the message lists the
            known.
    """
    options = dict(spec) if isinstance(spec, dict) else {'type': spec}
    kind = options.pop('type', None)
    if isinstance(kind, type):
        return kind(dim, **options)
    if not isinstance(kind, str) or kind not in MIXERS:
        raise ConfigError(f'unknown mixer {kind!r}; known: {", ".join(sorted(MIXERS))}')
    _, *known = inspect.signature(MIXERS[kind]).parameters
    if unknown := options.keys() - known:
        raise ConfigError(f'mixer {kind} has no {sorted(unknown)}; its arguments: {known}')
    return MIXERS[kind](dim, **{**defaults.get(kind, {}), **options})


__all__ = [
    'MIXERS',
    'DeformableConvV3',
    'DepthwiseConv',
    'HaloAttention',
    'HybridScaleAttention',
    'MixerSpec',
    'MultiHeadSelfAttention',
    'ScaleAwareModulation',
    'SelfGuidedAttention',
    'ShiftedWindowAttention',
    'SpatialReductionAttention',
    'build_mixer',
]

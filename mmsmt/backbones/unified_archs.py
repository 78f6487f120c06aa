"""Variants of the unified architecture, a table for each of seven mixers.

Dimensions, depths, heads and drop path (of ImageNet-1K) of `halo`, `sra`, `window`, `dwconv` and
`dcnv3` are those of https://arxiv.org/abs/2211.05781 in the released configurations; `dcnv3` has
a fifth variant, `large`, without weights or results.

`sam` and `msa` are ours. They have the dimensions, heads and drop path of `window`; the number of
blocks in stage 3 brings the parameters, with a classifier for 1,000 classes, as close as possible
to the paper's class sizes (4.5, 30, 50 and 100 M). `pico` is ours too: for digits of 64 pixels and
scenes of 256, the size of SMT-pico.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmsmt.backbones.stages import Mixers, check_stacking
from mmsmt.backbones.variants import check_fields, check_size, resolve_fields
from mmsmt.errors import ConfigError

BEHAVIOURS = ('classification', 'detection')


@dataclass(frozen=True)
class UnifiedArch:
    """The fields of a variant; sequences have one entry per stage.

    Args:
        embed_dims: Channels.
        depths: Number of blocks.
        num_heads: Heads of attention, groups of `dcnv3`.
        mlp_ratios: Hidden width of the feed-forward as a multiple of the channels.
        reductions: Factor by which `sra` and `hybrid_scale` reduce height and width.
        window: Side of the windows of `window` and `hybrid_scale`, and of the blocks of `halo`.
        sam_heads: Heads of `sam`.
        image_size: Side, or height and width, of the images that the position tables of `sra` fit.
        layer_scale_init_value: Initial layer scale, 0 for none.
        drop_path_rate: Stochastic-depth rate of the last block.
        mixers: Mixer of a stage, or several that `stacking` distributes; empty for the network's
            mixer in every stage. `window` alone shifts the windows by half a window in every other
            block.
        stacking: `alternate` repeats a stage's mixers in turn, `halves` gives each a run of
            blocks.
    """

    embed_dims: Sequence[int]
    depths: Sequence[int]
    num_heads: Sequence[int] = (1, 2, 4, 8)
    mlp_ratios: Sequence[float] = (4, 4, 4, 4)
    reductions: Sequence[int] = (8, 4, 2, 1)
    window: int = 7
    sam_heads: Sequence[int] = (4, 4, 4, 4)
    image_size: int | tuple[int, int] = 224
    layer_scale_init_value: float = 1e-6
    drop_path_rate: float = 0.0
    mixers: Mixers = ()
    stacking: str = 'alternate'


_WIDTHS = {
    'micro': ((32, 64, 128, 256), (1, 2, 4, 8)),
    'tiny': ((96, 192, 384, 768), (3, 6, 12, 24)),
    'small': ((96, 192, 384, 768), (3, 6, 12, 24)),
    'base': ((128, 256, 512, 1024), (4, 8, 16, 32)),
}


def _scales(
    depths: Sequence[Sequence[int]], drop_paths: Sequence[float], pico: UnifiedArch
) -> dict[str, UnifiedArch]:
    """Return the variants, from micro to base, of a mixer that has the usual widths."""
    return {'pico': pico} | {
        name: UnifiedArch(dims, depth, heads, drop_path_rate=rate)
        for (name, (dims, heads)), depth, rate in zip(
            _WIDTHS.items(), depths, drop_paths, strict=True
        )
    }


# On tiles of 64 pixels these reductions leave 16 keys. A layer scale of 1e-6 would grow too slowly
# in the few hundred steps of training on digits.
_PICO = UnifiedArch(
    (32, 64, 128, 256),
    (1, 1, 2, 1),
    mlp_ratios=(4, 4, 4, 2),
    reductions=(4, 2, 1, 1),
    image_size=64,
    layer_scale_init_value=0.0,
)
_ATTENTION = _scales(
    [(2, 2, 9, 2), (2, 2, 6, 2), (2, 2, 18, 2), (2, 2, 18, 2)], (0, 0.2, 0.3, 0.5), _PICO
)
_SRA = UnifiedArch((64, 128, 320, 512), (3, 4, 9, 3), (1, 2, 5, 8), (8, 8, 4, 4))
ARCHS: dict[str, dict[str, UnifiedArch]] = {
    'halo': _ATTENTION,
    'window': _ATTENTION,
    'sra': {
        'pico': _PICO,
        'micro': UnifiedArch((32, 64, 160, 256), (2, 2, 3, 2), (1, 2, 5, 8), (8, 8, 4, 4)),
        'tiny': replace(_SRA, drop_path_rate=0.1),
        'small': replace(_SRA, depths=(3, 4, 21, 3), drop_path_rate=0.3),
        'base': replace(_SRA, depths=(3, 8, 45, 3), mlp_ratios=(4, 4, 4, 4), drop_path_rate=0.5),
    },
    'dwconv': _scales(
        [(3, 3, 8, 3), (2, 2, 9, 2), (2, 2, 24, 2), (2, 2, 24, 2)],
        (0, 0.1, 0.4, 0.5),
        replace(_PICO, depths=(1, 1, 3, 1)),
    ),
    'dcnv3': {
        'pico': replace(_PICO, num_heads=(2, 4, 8, 16)),
        'micro': UnifiedArch((32, 64, 128, 256), (2, 2, 9, 2), (2, 4, 8, 16)),
        'tiny': UnifiedArch((64, 128, 256, 512), (4, 4, 18, 4), (4, 8, 16, 32), drop_path_rate=0.1),
        'small': UnifiedArch(
            (80, 160, 320, 640), (4, 4, 21, 4), (5, 10, 20, 40), drop_path_rate=0.3
        ),
        'base': UnifiedArch(
            (112, 224, 448, 896), (4, 4, 21, 4), (7, 14, 28, 56), drop_path_rate=0.5
        ),
        'large': UnifiedArch(
            (160, 320, 640, 1280), (5, 5, 22, 5), (10, 20, 40, 80), drop_path_rate=0.5
        ),
    },
    'sam': _scales(
        [(2, 2, 8, 2), (2, 2, 4, 2), (2, 2, 14, 2), (2, 2, 18, 2)], (0, 0.2, 0.3, 0.5), _PICO
    ),
    'msa': _scales(
        [(2, 2, 10, 2), (2, 2, 5, 2), (2, 2, 16, 2), (2, 2, 20, 2)], (0, 0.2, 0.3, 0.5), _PICO
    ),
}


def resolve_arch(mixer: str, arch: str | dict[str, Any], overrides: dict[str, Any]) -> UnifiedArch:
    """Return the fields of a variant with some of them replaced.

    Args:
        mixer: A name of `ARCHS`.
        arch: A name of `ARCHS[mixer]`, or a dict of the fields of `UnifiedArch`.
        overrides: Fields to replace; None keeps the variant's.

    Returns:
        The complete fields, with `mixers` filled in.

    Raises:
        ValueError: If a name, a field or a length is wrong; the message lists the valid ones.
    """
    if not isinstance(mixer, str) or mixer not in ARCHS:
        raise ConfigError(f'unknown mixer {mixer!r}; known: {", ".join(ARCHS)}')
    resolved = resolve_fields(ARCHS[mixer], arch, overrides)
    check_size('window', resolved.window)
    if not resolved.mixers:
        resolved = replace(resolved, mixers=(mixer,) * 4)
    if isinstance(resolved.mixers, list | tuple):
        turns = {'window': ('window', dict(type='window', shift=resolved.window // 2))}
        mixers = [turns.get(m, m) if isinstance(m, str) else m for m in resolved.mixers]
        resolved = replace(resolved, mixers=tuple(mixers))
    counts = ('embed_dims', 'depths', 'num_heads', 'reductions', 'sam_heads')
    check_fields(resolved, counts)
    check_stacking(resolved.stacking)
    return resolved


def map_sizes(image_size: int | Sequence[int]) -> list[tuple[int, int]]:
    """Return height and width of the four stages' maps of an image.

    Args:
        image_size: Height and width in pixels, or one number for both.

    Raises:
        ValueError: If it is not a size.
    """
    size = tuple(image_size) if isinstance(image_size, Sequence) else (image_size,) * 2
    if len(size) != 2 or any(not isinstance(side, int) or side < 1 for side in size):
        raise ConfigError(f'image_size must be a number of pixels or two of them, got {image_size}')
    return [(-(-size[0] // stride), -(-size[1] // stride)) for stride in (4, 8, 16, 32)]

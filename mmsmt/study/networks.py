"""Networks of the study: mixers in one architecture, complete networks, and stackings.

All but the two `pico` variants have 1.40 M parameters and 22.5 M multiply-accumulates at 64 x 64
pixels, without a classifier: the widths of feed-forwards were chosen so that mixers and stackings
deviate by 0.3 % at most; the hosts' networks, which have no such width, by 6 %.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

PARAMS, MACS = 1.40e6, 22.5e6
SIDE = 64  # pixels, of the images for which the budget holds
WIDTHS, DEPTHS = (24, 48, 96, 192), (2, 2, 4, 2)  # in every network with this budget


class Network(NamedTuple):
    """A backbone in the study.

    Args:
        groups: `mixer`, `network` or `stacking`, a table of the page each; it may be in two.
        backbone: Its config, without `out_indices`.
    """

    groups: tuple[str, ...]
    backbone: dict[str, Any]


def _within_budget(kind: str, mlp_ratios: Sequence[float], **changes: Any) -> dict[str, Any]:
    """Return the config of a backbone of this package; the widths of its feed-forwards vary."""
    shape = dict(embed_dims=WIDTHS, depths=DEPTHS, mlp_ratios=tuple(mlp_ratios))
    return dict(type=kind, arch='pico', **shape, **changes)


def _unified(
    mixers: Sequence[Any], mlp_ratios: Sequence[float], num_heads: Sequence[int] = (1, 2, 4, 8)
) -> Network:
    """Return the unified architecture with a mixer, or several in turn, in every stage.

    Windows of 4 fill the maps of 16, 8 and 4 pixels; of windows of 7 most would be padding. Without
    layer scale, as in `pico`: one of 1e-6 hardly grows in a short training.
    """
    own = len(mixers) == 1 and mixers[0] not in ('hybrid_scale', 'self_guided')
    choice = dict(mixer=mixers[0]) if own else dict(mixers=(tuple(mixers),) * 4)
    changes = dict(num_heads=tuple(num_heads), window=4, **choice)
    return Network(('mixer',), _within_budget('mmsmt.UnifiedBackbone', mlp_ratios, **changes))


def _smt(groups: Sequence[str], mlp_ratios: Sequence[float], **changes: Any) -> Network:
    """Return an SMT with four blocks in stage 3, so that there is something to stack."""
    return Network(tuple(groups), _within_budget('mmsmt.SMT', mlp_ratios, **changes))


NETWORKS: dict[str, Network] = {
    'halo': _unified(['halo'], (2.125, 2.125, 1.875, 3.625)),
    'window': _unified(['window'], (5.625, 5.625, 4.125, 2.25)),
    'sra': _unified(['sra'], (6.125, 6.125, 4.125, 1.875)),
    'dwconv': _unified(['dwconv'], (6.125, 6.125, 5.375, 2.875)),
    'dcnv3': _unified(['dcnv3'], (6, 6, 4, 2), (2, 4, 8, 16)),
    'sam': _unified(['sam'], (4.75, 4.75, 3.75, 1.375)),
    'msa': _unified(['msa'], (1.875, 1.875, 1.375, 3.875)),
    'hybrid_scale': _unified(['hybrid_scale'], (4.125, 4.125, 3.625, 0.75), (2, 2, 4, 8)),
    # Takes the significance of a hybrid-scale block before it.
    'self_guided': _unified(
        ['hybrid_scale', 'self_guided'], (5.875, 5.875, 3.375, 1.25), (2, 2, 4, 8)
    ),
    'smt': _smt(('network', 'stacking'), (4.375, 4.375, 3.25, 2.25)),
    'smt_pico': Network(('network',), dict(type='mmsmt.SMT', arch='pico')),
    'sg_former_pico': Network(('network',), dict(type='mmsmt.SGFormer', arch='pico')),
    'resnet': Network(
        ('network',),
        dict(type='mmpretrain.ResNet', depth=18, stem_channels=23, base_channels=23),
    ),
    'convnext': Network(
        ('network',),
        dict(
            type='mmpretrain.ConvNeXt',
            arch=dict(depths=[3, 3, 4, 2], channels=[28, 56, 112, 208]),
            gap_before_final_norm=False,
        ),
    ),
    'swin': Network(
        ('network',),
        dict(
            type='mmpretrain.SwinTransformer',
            arch=dict(embed_dims=23, depths=[2, 2, 4, 2], num_heads=[1, 2, 4, 8]),
            window_size=4,
            pad_small_map=True,
            img_size=SIDE,
        ),
    ),
    'smt_halves': _smt(('stacking',), (4.375, 4.375, 3.25, 2.25), stacking='halves'),
    'smt_sam': _smt(
        ('stacking',), (3.875, 3.875, 3.75, 1.875), mixers=('sam', 'sam', 'sam', 'msa')
    ),
    'smt_msa': _smt(('stacking',), (4.625, 4.625, 3.125, 2.5), mixers=('sam', 'sam', 'msa', 'msa')),
}

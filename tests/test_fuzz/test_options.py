"""Options that cannot be are refused by one line that names them; every variant takes any image."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mmsmt.backbones import SMT, FourStageBackbone, SGFormer, UnifiedBackbone
from mmsmt.backbones.sg_former_archs import ARCHS as SG_FORMERS
from mmsmt.backbones.smt_archs import ARCHS as SMTS
from mmsmt.backbones.unified_archs import ARCHS as UNIFIED

VARIANTS: list[tuple[type[FourStageBackbone], dict[str, str]]] = [
    *((SMT, dict(arch=name)) for name in SMTS),
    *((SGFormer, dict(arch=name)) for name in SG_FORMERS),
    *(
        (UnifiedBackbone, dict(mixer=mixer, arch=name, behaviour=behaviour))
        for mixer, archs in UNIFIED.items()
        for name in archs
        for behaviour in ('classification', 'detection')
    ),
]


@pytest.mark.parametrize('variant', VARIANTS, ids=lambda v: '-'.join(v[1].values()))
def test_every_variant(variant: tuple[type[FourStageBackbone], dict[str, str]]) -> None:
    """Shapes alone, on no device, of two blocks a stage; further ones are like them."""
    network, options = variant
    with torch.device('meta'):
        model = network(**options, depths=(2, 2, 2, 2)).eval()
        outputs = model(torch.empty(2, 3, 61, 97))
    assert [f.shape[1] for f in outputs] == [info.channels for info in model.feature_info]
    assert [tuple(f.shape[2:]) for f in outputs[2:]] == [
        (4, 7 - (network is SMT)),
        (2, 4 - (network is SMT)),
    ]


NO_LIST = st.sampled_from([(), (1,), (1, 2, 3), (1, 2, 3, 4, 5), 7, 'abcd', {1: 2}])
NO_COUNT = st.sampled_from([0, -1, 1.5, '2', None, math.nan])
NO_SIZE = st.sampled_from([0, -3, 1.5, '7', (7,), math.nan])
NO_RATE = st.sampled_from([-0.1, 1.0, 2, math.nan, math.inf, '0.1', (0.1,)])
NO_MIXER = st.sampled_from(['conv', 7, {'num_heads': 2}, {'type': 'sma'}, (), [[]]])


def one_wrong(wrong: st.SearchStrategy, right: object = 2) -> st.SearchStrategy:
    """Four entries, one of them wrong."""
    return st.tuples(st.integers(0, 3), wrong).map(
        lambda drawn: [drawn[1] if i == drawn[0] else right for i in range(4)]
    )


BAD: dict[str, st.SearchStrategy] = {
    'out_indices': st.sampled_from(
        [(), (4,), (-1,), 'ab', 1.5, (0, None), (0.5,), (1.0,), ((0, 1),)]
    ),
    'frozen_stages': st.sampled_from([-2, 5, 1.5, 2.0, '1', (1,), math.nan]),
    'in_channels': NO_SIZE,
    'arch': st.sampled_from(['huge', '', 7, (), {'depths': (1, 1, 1, 1)}, {}]),
    'embed_dims': NO_LIST | one_wrong(NO_COUNT, 16),
    'depths': NO_LIST | one_wrong(NO_COUNT),
    'mlp_ratios': NO_LIST
    | one_wrong(st.sampled_from([0, -1, math.nan, math.inf, '2', None, 1e-9])),
    'mixers': NO_LIST | one_wrong(NO_MIXER, 'msa'),
    'stacking': st.sampled_from(['', 'thirds', 1]),
    'drop_path_rate': NO_RATE,
    'layer_scale_init_value': st.sampled_from([-1.0, math.nan, math.inf, '1', (1,)]),
    'misspelt': st.just(1),
}
OWN: dict[type[FourStageBackbone], dict[str, st.SearchStrategy]] = {
    SMT: {
        'stem_kernel': st.sampled_from([0, 2, -1, '3', 1.5]),
        'sam_heads': NO_LIST | one_wrong(NO_COUNT),
        'msa_heads': NO_LIST | one_wrong(NO_COUNT),
        'sam_expansion': NO_SIZE,
    },
    SGFormer: {
        'num_heads': NO_LIST | one_wrong(NO_COUNT),
        'reductions': NO_LIST | one_wrong(NO_COUNT),
        'runs': NO_LIST | one_wrong(st.sampled_from([(), 3, (1,), (0, 1), '12', (1.5, 2)]), (2, 1)),
        'window': NO_SIZE,
        'position_grid': NO_SIZE,
    },
    UnifiedBackbone: {
        'mixer': st.sampled_from(['conv', '', 7, None]),
        'behaviour': st.sampled_from(['', 'segmentation', None]),
        'num_heads': NO_LIST | one_wrong(NO_COUNT),
        'reductions': NO_LIST | one_wrong(NO_COUNT),
        'sam_heads': NO_LIST | one_wrong(NO_COUNT),
        'window': NO_SIZE,
        'image_size': st.sampled_from([0, -1, '64', (64,), (64, 64, 64), 1.5, (0, 64)]),
    },
}
# Each network with mixers that use all of its options, else a wrong one would not matter.
USING: dict[type[FourStageBackbone], dict[str, object]] = {
    SMT: {},
    SGFormer: dict(mixers=[('hybrid_scale', 'self_guided')] * 4, depths=(2, 2, 2, 2)),
    UnifiedBackbone: dict(mixer='sra'),
}


@given(data=st.data())
def test_wrong_options_are_refused(data: st.DataObject) -> None:
    network = data.draw(st.sampled_from([SMT, SGFormer, UnifiedBackbone]))
    wrong = BAD | OWN[network]
    name = data.draw(st.sampled_from(sorted(wrong)))
    value = data.draw(wrong[name])
    assume(not (network is UnifiedBackbone and name == 'mixers' and value == ()))  # its own mixer
    with pytest.raises(ValueError) as caught, torch.device('meta'):
        network(**{'arch': 'pico', **USING[network], name: value})
    assert '\n' not in str(caught.value)
    assert name.rstrip('s') in str(caught.value) or name in ('misspelt', 'embed_dims')

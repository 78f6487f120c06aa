"""Files are told apart by their shapes, whole networks only."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmsmt.backbones import SMT, FourStageBackbone, SGFormer
from mmsmt.backbones.families import FAMILIES, identify
from mmsmt.errors import CheckpointError

RELEASED = [
    *(('smt', 'SMT', arch) for arch in ('tiny', 'small', 'base', 'large')),
    *(('sg_former', 'SG-Former', arch) for arch in ('small', 'medium', 'base')),
]


@pytest.mark.parametrize('folder, network, arch', RELEASED)
def test_released_names(released_keys: Callable, folder: str, network: str, arch: str) -> None:
    keys = released_keys(arch, folder)
    state = {name: torch.empty(shape, device='meta') for name, shape in keys.items()}
    found = identify(state)
    assert (found.network, found.variant.split(' (')[0]) == (network, arch)
    assert len(found.parts.backbone) + len(found.parts.head) == len(state)


def entries(network: type[FourStageBackbone], **options: object) -> dict[str, Tensor]:
    with torch.device('meta'):
        return network(arch='pico', **options).state_dict()


@pytest.mark.parametrize(
    'options, variant',
    [
        ({}, 'pico'),
        ({'in_channels': 1}, 'pico'),
        ({'position_grid': 20}, 'pico'),
        ({'runs': ((9, 4, 2), (4, 2), (3, 1), (1, 1))}, 'pico'),
        ({'reductions': (4, 4, 1, 1)}, 'pico'),
        ({'layer_scale_init_value': 0.1}, 'pico'),
        ({'depths': (3, 2, 1, 2)}, 'a variation of pico: depths [3, 2, 1, 2], not [2, 2, 2, 1]'),
        ({'stacking': 'halves', 'depths': (4, 2, 2, 1)}, 'a variation of pico: depths'),
        ({'mlp_ratios': (4, 4, 2.5, 2)}, 'a variation of pico: mlp_ratios'),
        ({'mixers': ('msa', ('hybrid_scale', 'msa'), 'hybrid_scale', 'msa')}, 'pico'),
    ],
    ids=str,
)
def test_sg_former_of_other_shapes(options: dict, variant: str) -> None:
    found = identify(entries(SGFormer, **options))
    assert found.network == 'SG-Former'
    assert found.variant.startswith(variant)


@pytest.mark.parametrize('family', FAMILIES, ids=lambda family: family.network)
def test_what_is_inferred_builds_the_network(family: type[FourStageBackbone]) -> None:
    """All fields of a named variant, those too that leave no trace."""
    with torch.device('meta'):
        model = family(arch='pico')
        rebuilt = family(**family.infer(model.state_dict()).options)
    for block, other in zip(model.stages[2], rebuilt.stages[2], strict=True):
        assert block.mixer.num_heads == other.mixer.num_heads
    assert repr(model) == repr(rebuilt)


def test_a_damaged_file_is_told_by_the_network_it_resembles() -> None:
    state = entries(SGFormer)
    del state['stages.1.1.mixer.merges.1.weight']
    with pytest.raises(
        CheckpointError, match='no complete SG-Former, pico: .* unexpected: stages.'
    ):
        identify(state)
    with pytest.raises(CheckpointError, match='no complete SMT, pico: .* missing: norms.0.weight'):
        identify({n: v for n, v in entries(SMT).items() if n != 'norms.0.weight'})
    odd = entries(SGFormer) | {'patch_embeds.0.position.table': torch.zeros(1, 17, 32)}
    with pytest.raises(CheckpointError, match='table .*17, 32. in the file, .1, 16, 32'):
        identify(odd)


def test_nothing_of_this_suite() -> None:
    known = ', '.join(family.network for family in FAMILIES)
    with pytest.raises(CheckpointError, match=f'no complete backbone in the file; known: {known}'):
        identify({'conv1.weight': torch.ones(1)})

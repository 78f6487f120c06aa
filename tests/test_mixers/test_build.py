"""Mixers by name, by class, by dict."""

import pytest
import torch
from torch import Tensor, nn

from mmsmt.mixers import (
    MIXERS,
    MultiHeadSelfAttention,
    ScaleAwareModulation,
    build_mixer,
)

DEFAULTS = {'sam': {'num_heads': 2, 'expansion': 1}, 'msa': {'num_heads': 4}}


class Affine(nn.Module):
    """A mixer from elsewhere."""

    def __init__(self, dim: int, scale: float = 1.0) -> None:
        super().__init__()
        self.dim, self.scale = dim, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x


def test_name_takes_the_networks_arguments() -> None:
    sam, msa = build_mixer('sam', 8, DEFAULTS), build_mixer('msa', 8, DEFAULTS)
    assert isinstance(sam, ScaleAwareModulation)
    assert (sam.num_heads, sam.expand.out_channels) == (2, 8)
    assert isinstance(msa, MultiHeadSelfAttention)
    assert msa.num_heads == 4


def test_arguments_of_a_dict_win_and_the_dict_stays_as_it_is() -> None:
    spec = {'type': 'msa', 'num_heads': 8, 'qkv_bias': False}
    before = dict(spec)
    msa = build_mixer(spec, 8, DEFAULTS)
    assert msa.num_heads == 8
    assert msa.q.bias is None
    assert spec == before
    assert DEFAULTS['msa'] == {'num_heads': 4}


def test_class_gets_channels_and_its_own_arguments_only() -> None:
    assert build_mixer(Affine, 8, DEFAULTS).dim == 8
    assert build_mixer({'type': Affine, 'scale': 3.0}, 8, DEFAULTS).scale == 3.0


@pytest.mark.parametrize('spec', ['conv', {'type': 'conv'}, {'num_heads': 2}])
def test_unknown_name_lists_the_known_ones(spec: object) -> None:
    says = rf"unknown mixer ('conv'|None); known: {', '.join(sorted(MIXERS))}$"
    with pytest.raises(ValueError, match=says):
        build_mixer(spec, 8, DEFAULTS)


@pytest.mark.parametrize('name', MIXERS)
def test_contract_same_shape_for_every_map(name: str) -> None:
    mixer = build_mixer(name, 16, {'msa': {'num_heads': 4}})
    for height, width in ((1, 1), (1, 9), (4, 3)):
        x = torch.randn(2, height, width, 16)
        guides = [torch.rand(2, height, width)] if name == 'self_guided' else []
        mixed = mixer(x, *guides)
        if name == 'hybrid_scale':
            mixed, significance = mixed
            assert significance.shape == (2, height, width)
        assert mixed.shape == x.shape

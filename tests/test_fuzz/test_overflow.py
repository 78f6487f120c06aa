"""Half precision stays finite wherever the results of layers fit into it.

float16 ends at 65504. What a layer gives beyond that is lost and no mixer can help it; but what is
between layers (scores of attention, sums, products) must not end it sooner.
"""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mmsmt.mixers import MIXERS

LARGEST = torch.finfo(torch.float16).max
HALVES = [torch.float16, torch.bfloat16]
WAYS = ['autocast', 'converted']


def run(mixer: nn.Module, x: Tensor, significance: Tensor) -> tuple[Tensor, ...]:
    """Results of a mixer: the map, and the significance where there is one."""
    guides = [significance] if isinstance(mixer, MIXERS['self_guided']) else []
    result = mixer(x, *guides)
    return result if isinstance(result, tuple) else (result,)


def peak(mixer: nn.Module, x: Tensor, significance: Tensor) -> float:
    """Largest number that goes into or comes out of a layer, in float32."""
    seen = [x.abs().max()]
    layers = [m for m in mixer.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.BatchNorm2d)]
    hooks = [
        layer.register_forward_hook(lambda _, i, o: seen.extend([i[0].abs().max(), o.abs().max()]))
        for layer in layers
    ]
    finite = all(result.isfinite().all() for result in run(mixer, x, significance))
    for hook in hooks:
        hook.remove()
    assert finite, 'float32 itself overflows'
    return max(seen).item()


def half(
    name: str, growth: dict[str, float], gain: float, dtype: torch.dtype, way: str
) -> tuple[bool, bool]:
    """Whether the results of all layers of a mixer fit into float16, and whether its own do.

    Args:
        name: Of the mixer.
        growth: By how much the weights of its parts have grown.
        gain: The same of its input.
        dtype: Half precision.
        way: How it gets there, of `WAYS`.
    """
    mixer = MIXERS[name](16, num_heads=2) if name != 'dwconv' else MIXERS[name](16)
    with torch.no_grad():
        for n, parameter in mixer.named_parameters():
            parameter.mul_(growth.get(n.partition('.')[0], 1.0))
        x, significance = torch.randn(2, 9, 12, 16) * gain, torch.rand(2, 9, 12)
        # A sum of a few of them must fit as well, as in halo attention's positions.
        fits = peak(mixer.eval(), x, significance) < LARGEST / 16
        if way == 'autocast':
            with torch.autocast('cpu', dtype):
                results = run(mixer, x, significance)
        else:
            results = run(copy.deepcopy(mixer).to(dtype), x.to(dtype), significance)
    return fits, all(bool(result.isfinite().all()) for result in results)


@pytest.mark.parametrize('name', MIXERS)
@given(data=st.data())
def test_half_precision_overflows_in_layers_only(name: str, data: st.DataObject) -> None:
    torch.manual_seed(data.draw(st.integers(0, 1000), label='seed'))
    dtype, way = data.draw(st.sampled_from(HALVES)), data.draw(st.sampled_from(WAYS))
    gains = st.sampled_from([1.0, 1e1, 1e2, 1e3, 1e4])
    parts = [n for n, _ in MIXERS[name](16).named_children()]
    growth = {n: data.draw(gains, label=n) for n in parts}
    fits, finite = half(name, growth, data.draw(gains, label='input'), dtype, way)
    assert finite or (dtype == torch.float16 and not fits)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('name', ['msa', 'hybrid_scale', 'self_guided', 'halo', 'window', 'sra'])
def test_scores_beyond_float16(name: str, way: str) -> None:
    """Queries and keys of some hundreds, whose products are beyond a hundred thousand."""
    torch.manual_seed(0)
    growth = dict.fromkeys(['q', 'q1', 'q2', 'kv', 'kv1', 'kv2', 'qkv'], 5e3)
    assert half(name, growth, 1.0, torch.float16, way) == (True, True)

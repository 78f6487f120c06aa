"""What every mixer promises: gradients at any size, half precision, copies, one compiled graph."""

import copy
import inspect
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mmsmt.mixers import (
    MIXERS,
    DeformableConvV3,
    DepthwiseConv,
    HaloAttention,
    MultiHeadSelfAttention,
    ScaleAwareModulation,
    ShiftedWindowAttention,
    SpatialReductionAttention,
)

# Channels (8 for all), heads, and sizes that neither 9 nor 10 pixels are multiples of.
MAKE: dict[str, Callable[[], nn.Module]] = {
    'dcnv3': lambda: DeformableConvV3(8, 2),
    'dwconv': lambda: DepthwiseConv(8, 5),
    'halo': lambda: HaloAttention(8, 2, 4, 2),
    'msa': lambda: MultiHeadSelfAttention(8, 2),
    'sam': lambda: ScaleAwareModulation(8),
    'sra': lambda: SpatialReductionAttention(8, 2, 4),
    'window': lambda: ShiftedWindowAttention(8, 2, 4, 2),
}
# They need or give significance; `test_hybrid_scale.py` and `test_self_guided.py` have their like.
GUIDED = {'hybrid_scale', 'self_guided'}
MASKED = ('halo', 'window')
# Mixers with pixels that change nothing, as those that are not the largest of a pooling.
SELECTIVE: set[str] = set()
WITH_HEADS = [n for n in MAKE if 'num_heads' in inspect.signature(MIXERS[n]).parameters]
# Root mean square errors relative to float64, twice of what is measured.
HALVES = {torch.bfloat16: 0.02, torch.float16: 0.0025}


def lively(name: str) -> nn.Module:
    """In float64 and evaluation, with weights and statistics far from their initial values."""
    torch.manual_seed(0)
    mixer = MAKE[name]()
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.6)
    return mixer.double().eval()


def images(*size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, *size, 8, dtype=torch.float64, generator=generator)


def test_every_mixer_is_here() -> None:
    assert set(MAKE) | GUIDED == set(MIXERS)


@pytest.mark.parametrize('size', [(1, 1), (1, 11), (3, 2), (9, 10)], ids=str)
@pytest.mark.parametrize('name', MAKE)
def test_every_weight_and_pixel_gets_a_gradient(name: str, size: tuple[int, int]) -> None:
    mixer, x = lively(name), images(*size).requires_grad_()
    out = mixer(x)
    assert out.shape == x.shape and out.is_contiguous()
    out.square().sum().backward()
    gradients = {n: parameter.grad for n, parameter in mixer.named_parameters()}
    assert [n for n, g in gradients.items() if g is None or not g.isfinite().all()] == []
    assert x.grad.isfinite().all()
    assert name in SELECTIVE or x.grad.any(-1).all()
    if size == (9, 10):  # elsewhere there may be nothing to choose from
        assert [n for n, g in gradients.items() if not g.any()] == []


@pytest.mark.parametrize('dtype', HALVES, ids=str)
@pytest.mark.parametrize('name', MASKED)
def test_half_precision_masks_stay_masks(name: str, dtype: torch.dtype) -> None:
    mixer, x = lively(name), images(9, 10)
    want = mixer(x)
    single, half = copy.deepcopy(mixer).float(), copy.deepcopy(mixer).to(dtype)
    with torch.autocast('cpu', dtype):
        mixed = single(x.float())
    for got in (half(x.to(dtype)), mixed):
        assert got.dtype == dtype
        error = (got - want).square().mean().sqrt() / want.square().mean().sqrt()
        assert error < HALVES[dtype], error


INDEX = {'window': {'relative_index'}, 'halo': {'relative_rows'}}  # of the rows of a table


@pytest.mark.parametrize('name', MAKE)
def test_keeps_nothing_of_a_forward(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What inference made (the windows' regions, once) serves training, and no module has it."""
    mixer, x = lively(name), images(9, 10)
    attributes = {part: set(vars(part)) for part in mixer.modules()}
    with torch.inference_mode():
        want = mixer(x)
    if name in MASKED:
        monkeypatch.setattr(torch, 'arange', None)
    mixer(x.requires_grad_()).sum().backward()
    assert {part: set(vars(part)) for part in mixer.modules()} == attributes
    named = {*dict(mixer.named_parameters()), *dict(mixer.named_buffers())}
    assert named - set(mixer.state_dict()) == INDEX.get(name, set()), 'no file holds an index'
    again = pickle.loads(pickle.dumps(copy.deepcopy(mixer)))
    torch.testing.assert_close(again(x), want)
    torch.testing.assert_close(mixer.float()(x.float()).double(), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('trains', [True, False], ids=['with gradients', 'without'])
@pytest.mark.parametrize('name', ['dcnv3', *MASKED])
def test_compiles_into_one_graph(name: str, trains: bool) -> None:
    """The others' layers are compiled with whole networks, in `test_backbones/test_compile.py`."""
    mixer, x = lively(name), images(4, 3)
    compiled = torch.compile(mixer, fullgraph=True, backend='eager')
    with torch.set_grad_enabled(trains):
        torch.testing.assert_close(compiled(x), mixer(x))


@pytest.mark.parametrize('dim, heads', [(10, 4), (8, 3), (8, 0), (8, -2)])
@pytest.mark.parametrize('name', WITH_HEADS)
def test_indivisible_heads(name: str, dim: int, heads: int) -> None:
    with pytest.raises(ValueError, match=f'dim {dim} is not a multiple of num_heads {heads}'):
        type(MAKE[name]())(dim, heads)

"""Mixers on a GPU compute what they compute on a CPU, at every size and in every precision."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmsmt.layers import mix
from mmsmt.mixers import MIXERS, HaloAttention, ShiftedWindowAttention, build_mixer

pytestmark = pytest.mark.cuda

DIM = 64
OPTIONS: dict[str, dict[str, Any]] = {
    'dcnv3': dict(num_heads=4),
    'dwconv': {},
    'halo': dict(num_heads=2),
    'hybrid_scale': dict(num_heads=2, reduction=4),
    'msa': dict(num_heads=2),
    'sam': {},
    'self_guided': dict(num_heads=2, runs=(4, 3, 2)),
    'sra': dict(num_heads=2, reduction=4),
    'window': dict(num_heads=2, shift=3),
}
SIZES = [(1, 1), (1, 11), (17, 23), (28, 28)]
# Root mean square errors of the map and of gradients, relative to float64. DCNv3's slope jumps
# where a point meets a pixel, which rounding decides.
LIMITS = {
    torch.float32: (1e-5, 1e-5),
    torch.float16: (0.003, 0.01),
    torch.bfloat16: (0.02, 0.06),
}
JUMP = 0.005


def lively(name: str) -> nn.Module:
    """In float64 and evaluation, with weights far from their initial values."""
    torch.manual_seed(0)
    mixer = build_mixer({'type': name, **OPTIONS[name]}, DIM, {})
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.1)
    return mixer.double().eval()


def draw(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def results(mixer: nn.Module, x: Tensor) -> list[Tensor]:
    """Of a forward and a backward pass: map, gradients of the input and of all weights together."""
    significance = draw(*x.shape[:3]).to(x.device)
    x = x.detach().requires_grad_()
    mixed, found = mix(mixer, x, significance)
    (mixed * draw(*mixed.shape).to(mixed)).sum().backward()
    weights = torch.cat([p.grad.flatten() for p in mixer.parameters()])
    return [mixed, x.grad, weights, *([] if found is None else [found])]


def rms_error(got: Tensor, want: Tensor) -> float:
    got = got.detach().cpu().double()
    return ((got - want).square().mean().sqrt() / want.square().mean().sqrt()).item()


def test_every_mixer_is_here() -> None:
    assert set(OPTIONS) == set(MIXERS)


@pytest.mark.parametrize('size', SIZES, ids=str)
@pytest.mark.parametrize('name', OPTIONS)
def test_equals_the_cpus_in_float64(name: str, size: tuple[int, int]) -> None:
    """With gradients and without, which may choose other operators."""
    mixer, x = lively(name), draw(2, *size, DIM)
    other = copy.deepcopy(mixer).cuda()
    for got, want in zip(results(other, x.cuda()), results(mixer, x), strict=True):
        assert got.is_cuda
        scale = want.square().mean().sqrt().item()
        torch.testing.assert_close(got.cpu(), want, rtol=1e-7, atol=1e-7 * scale)
    with torch.no_grad():
        significance = draw(2, *size)
        got, _ = mix(other, x.cuda(), significance.cuda())
        want, _ = mix(mixer, x, significance)
    torch.testing.assert_close(got.cpu(), want, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize('autocast', [False, True], ids=['cast', 'autocast'])
@pytest.mark.parametrize('dtype', LIMITS, ids=str)
@pytest.mark.parametrize('name', OPTIONS)
def test_fused_kernels(name: str, dtype: torch.dtype, autocast: bool) -> None:
    """Kernels of 32 bits and fewer, which float64 does not take."""
    if autocast and dtype == torch.float32:
        pytest.skip('float32 is not an autocast dtype')
    single = copy.deepcopy(lively(name)).cuda().to(torch.float32 if autocast else dtype)
    kind = next(single.parameters()).dtype
    for size in SIZES[2:]:
        x = draw(2, *size, DIM)
        mixer = lively(name)
        single.zero_grad()
        with torch.autocast('cuda', dtype, enabled=autocast):
            got = results(single, x.cuda().to(kind))
        errors = [rms_error(*pair) for pair in zip(got, results(mixer, x), strict=True)]
        limit, gradients = LIMITS[dtype]
        assert errors[0] < limit, errors
        assert max(errors) < (gradients + JUMP if name == 'dcnv3' else gradients), errors


@pytest.mark.parametrize(
    'mixer',
    [
        ShiftedWindowAttention(8, 1, window=2),
        ShiftedWindowAttention(8, 1, window=2, shift=1),
        HaloAttention(8, 1, block=2, halo=1),
    ],
    ids=['windows', 'masked windows', 'halo'],
)
def test_more_windows_than_a_grid_has_rows(mixer: nn.Module) -> None:
    """65,792 windows of one map: kernels take them as heads if they are masked, else as images."""
    torch.manual_seed(0)
    mixer = copy.deepcopy(mixer).double()
    other = copy.deepcopy(mixer).float().cuda()
    x = draw(1, 512, 514, 8)
    got, want = results(other, x.float().cuda()), results(mixer, x)
    assert max(map(rms_error, got, want)) < 1e-3


def test_windows_of_a_large_image() -> None:
    """Stage 1 of the window model `base` on 3,584 pixels: 65,536 windows and heads are masked."""
    if torch.cuda.mem_get_info()[1] < 40 * 2**30:
        pytest.skip('needs a GPU with 40 GiB')
    torch.manual_seed(0)
    mixer = ShiftedWindowAttention(128, 4, window=7, shift=3)
    x = torch.randn(1, 896, 896, 128)
    other = copy.deepcopy(mixer).cuda()
    with torch.inference_mode():
        want = mixer(x).double()
        assert rms_error(other(x.cuda()), want) < 1e-4
    other(x.cuda()).square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in other.parameters())

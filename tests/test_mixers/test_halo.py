"""Halo attention against its specification, one block and one head at a time."""

import copy
import itertools
import pickle

import pytest
import torch
from torch import Tensor, nn

from mmsmt.mixers import HaloAttention

Size = tuple[int, int]
SIZES = [(1, 1), (1, 11), (3, 3), (6, 9), (5, 7), (13, 2)]


def lively(
    dim: int = 8, heads: int = 2, block: int = 3, halo: int = 2, mask_padding: bool = True
) -> HaloAttention:
    torch.manual_seed(0)
    mixer = HaloAttention(dim, heads, block, halo, mask_padding)
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.6)
    return mixer.double()


def written_out(m: HaloAttention, x: Tensor) -> Tensor:
    """Of one image (H, W, C): keys outside are left out rather than masked."""
    (height, width, dim), b = x.shape, m.block
    d, last, out = dim // m.num_heads, m.block + 2 * m.halo - 1, torch.zeros_like(x)
    high, wide = height, width
    if not m.mask_padding:
        high, wide = -(-height // b) * b, -(-width // b) * b
    for top, left in itertools.product(range(0, height, b), range(0, width, b)):
        keys = [
            (r, c)
            for r in range(max(top - m.halo, 0), min(top + b + m.halo, high))
            for c in range(max(left - m.halo, 0), min(left + b + m.halo, wide))
        ]
        tokens = [
            x[r, c] if r < height and c < width else torch.zeros_like(x[0, 0]) for r, c in keys
        ]
        kv = torch.stack(tokens) @ m.kv.weight.T
        for r, c in itertools.product(
            range(top, min(top + b, height)), range(left, min(left + b, width))
        ):
            # In windows the rows count from the halo on, which the index leaves in.
            rows = [last + (R - top + m.halo) - (r - top) for R, _ in keys]
            columns = [last + (S - left + m.halo) - (c - left) for _, S in keys]
            assert min(rows + columns) >= 2 * m.halo
            for head in range(m.num_heads):
                q = (m.q.weight @ x[r, c])[head * d : (head + 1) * d]
                k, v = kv[:, head * 2 * d : (head + 1) * 2 * d].split(d, dim=1)
                logits = k @ q / d**0.5 + m.height_rel[rows] @ q + m.width_rel[columns] @ q
                out[r, c, head * d : (head + 1) * d] = logits.softmax(0) @ v
    return m.proj(out)


@pytest.mark.parametrize('mask_padding', [True, False])
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_formula(size: Size, mask_padding: bool) -> None:
    mixer = lively(mask_padding=mask_padding)
    x = torch.randn(2, *size, 8, dtype=torch.float64)
    for got, image in zip(mixer(x), x):
        torch.testing.assert_close(got, written_out(mixer, image))


def test_the_behaviours_differ_only_where_padding_is_near() -> None:
    """Blocks of 3 fill 7 rows up to 9; a halo of 2 reaches row 7 from the block of row 3 on."""
    x = torch.randn(1, 7, 6, 8, dtype=torch.float64)
    difference = (lively()(x) - lively(mask_padding=False)(x)).abs().amax((0, 2, 3))
    assert (difference[3:] > 1e-3).all()
    assert difference[:3].max() < 1e-12


def test_one_block_sees_a_window_of_thirteen() -> None:
    """At the released sizes: 7 and 3."""
    torch.manual_seed(0)
    mixer = HaloAttention(32, 2).double()
    assert mixer.height_rel.shape == mixer.width_rel.shape == (25, 16)
    x = torch.randn(1, 28, 28, 32, dtype=torch.float64, requires_grad=True)
    (seen,) = torch.autograd.grad(mixer(x)[0, 7:14, 14:21].sum(), x)
    inside = torch.zeros(28, 28, dtype=torch.bool)
    inside[4:17, 11:24] = True
    assert torch.equal(seen[0].any(-1), inside)


@pytest.mark.parametrize('size', [(7, 8), (1, 1)], ids=str)
def test_every_weight_and_pixel_gets_a_gradient(size: Size) -> None:
    mixer = lively()
    x = torch.randn(2, *size, 8, dtype=torch.float64, requires_grad=True)
    mixer(x).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in mixer.named_parameters()}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert x.grad.isfinite().all() and x.grad.any(-1).all()
    if size != (1, 1):  # there is nothing to choose from
        assert [name for name, gradient in gradients.items() if not gradient.any()] == []
        for table in ('height_rel', 'width_rel'):
            assert not gradients[table][:4].any(), 'rows that the index skips'


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_masks_stay_masks(dtype: torch.dtype) -> None:
    mixer = lively().float()
    x = torch.randn(2, 7, 5, 8)
    want = mixer(x)
    got = copy.deepcopy(mixer).to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), want, rtol=0.1, atol=0.25)
    with torch.autocast('cpu', dtype):
        torch.testing.assert_close(mixer(x).float(), want, rtol=0.1, atol=0.25)


def test_masks_are_made_once_and_belong_to_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    mixer = lively()
    x = torch.randn(1, 7, 5, 8, dtype=torch.float64)
    with torch.inference_mode():
        want = mixer(x)
    monkeypatch.setattr(torch, 'arange', None)
    mixer(x).sum().backward()  # what inference made serves training
    assert set(mixer.state_dict()) == {*dict(mixer.named_parameters())}
    again = pickle.loads(pickle.dumps(copy.deepcopy(mixer)))
    torch.testing.assert_close(again(x), want)
    torch.testing.assert_close(mixer.float()(x.float()).double(), want, rtol=1e-4, atol=1e-4)


def test_compiles_into_one_graph() -> None:
    mixer = lively()
    x = torch.randn(1, 7, 5, 8, dtype=torch.float64)
    compiled = torch.compile(mixer, fullgraph=True, backend='eager')
    torch.testing.assert_close(compiled(x), mixer(x))


@pytest.mark.parametrize('dim, heads', [(10, 4), (8, 0), (8, -2)])
def test_indivisible_heads(dim: int, heads: int) -> None:
    with pytest.raises(ValueError, match=f'dim {dim} is not a multiple of num_heads {heads}'):
        HaloAttention(dim, heads)


@pytest.mark.parametrize('block, halo', [(0, 1), (7, -1)])
def test_impossible_blocks(block: int, halo: int) -> None:
    with pytest.raises(ValueError, match=f'block must be at least 1 and halo 0, got {block} and'):
        HaloAttention(8, 2, block, halo)

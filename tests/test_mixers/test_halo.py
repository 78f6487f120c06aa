"""Halo attention against its specification, one block and one head at a time."""

import itertools

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


def test_rows_of_the_tables_that_no_index_reaches_get_no_gradient() -> None:
    """In windows the rows count from the halo on."""
    mixer = lively()
    mixer(torch.randn(2, 7, 8, 8, dtype=torch.float64)).square().sum().backward()
    for table in (mixer.height_rel, mixer.width_rel):
        assert not table.grad[:4].any() and table.grad[4:].any(-1).all()


@pytest.mark.parametrize('block, halo', [(0, 1), (7, -1)])
def test_impossible_blocks(block: int, halo: int) -> None:
    with pytest.raises(
        ValueError, match=f'block must be at least 1 and halo at least 0, got {block} and'
    ):
        HaloAttention(8, 2, block, halo)

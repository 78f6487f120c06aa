"""Attention to a reduced map, against its formula; the last rows and columns of a map."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmsmt.mixers import SpatialReductionAttention


def written_out(sra: SpatialReductionAttention, x: Tensor) -> Tensor:
    """The specification with an explicit softmax, one head and image at a time."""
    dim, s = x.shape[-1], sra.reduction
    width = dim // sra.num_heads
    y = x
    if s > 1:
        y = F.conv2d(x.permute(0, 3, 1, 2), sra.reduce.weight, sra.reduce.bias, stride=s)
        y = F.layer_norm(y.permute(0, 2, 3, 1), (dim,), sra.norm.weight, sra.norm.bias, 1e-5)
    q, kv = sra.q(x).flatten(1, 2), sra.kv(y).flatten(1, 2)
    out = torch.zeros_like(q)
    for head in range(sra.num_heads):
        part = slice(head * width, (head + 1) * width)
        k, v = kv[..., :dim][..., part], kv[..., dim:][..., part]
        out[..., part] = torch.softmax(q[..., part] @ k.mT / width**0.5, dim=-1) @ v
    return sra.proj(out).reshape(x.shape)


@pytest.mark.parametrize('heads, reduction', [(1, 1), (3, 2), (6, 4)])
@pytest.mark.parametrize('whole_map', [True, False])
def test_formula(heads: int, reduction: int, whole_map: bool) -> None:
    torch.manual_seed(0)
    sra = SpatialReductionAttention(12, heads, reduction, whole_map).double()
    x = 3 * torch.randn(2, 8, 12, 12, dtype=torch.float64)
    torch.testing.assert_close(sra(x), written_out(sra, x))
    assert hasattr(sra, 'norm') is hasattr(sra, 'reduce') is (reduction > 1)


def test_last_rows_and_columns() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 10, 9, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, 8:] += 1
    changed[:, :, 8:] += 1
    for whole_map in (True, False):
        sra = SpatialReductionAttention(8, 2, 4, whole_map).double()
        same = torch.allclose(sra(x)[:, :8, :8], sra(changed)[:, :8, :8], rtol=0, atol=1e-12)
        assert same is not whole_map
    padded = F.pad(x, (0, 0, 0, 3, 0, 2))
    sra.whole_map = True
    torch.testing.assert_close(sra(x), written_out(sra, padded)[:, :10, :9])


@pytest.mark.parametrize('size', [(1, 1), (1, 17), (3, 2), (7, 9)])
def test_any_size_where_the_rest_is_cut_off(size: tuple[int, int]) -> None:
    sra = SpatialReductionAttention(8, 2, 4, whole_map=False)
    x = torch.randn(3, *size, 8, requires_grad=True)
    out = sra(x)
    assert out.shape == x.shape
    out.square().sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in sra.parameters())


def test_initial_weights() -> None:
    torch.manual_seed(0)
    weight = SpatialReductionAttention(64, 2, 8).reduce.weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='SRA: dim 10 is not a multiple of num_heads 4'):
        SpatialReductionAttention(10, 4)
    with pytest.raises(ValueError, match='SRA: reduction must be at least 1, got 0'):
        SpatialReductionAttention(8, 4, 0)

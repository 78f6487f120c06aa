"""Hybrid-scale attention against its specification, one head and one query at a time."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.mixers import HybridScaleAttention


def lively(dim: int = 8, heads: int = 4, reduction: int = 2, window: int = 3) -> nn.Module:
    torch.manual_seed(0)
    mixer = HybridScaleAttention(dim, heads, reduction, window)
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.6)
    return mixer.double()


def written_out(m: HybridScaleAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of one image (H, W, C): plain loops, nothing padded but what the convolution needs."""
    height, width, dim = x.shape
    r, side, heads, d = m.reduction, m.window, m.num_heads // 2, dim // m.num_heads
    rows, columns = math.ceil(height / r), math.ceil(width / r)
    padded = x.new_zeros(rows * r, columns * r, dim)
    padded[:height, :width] = x
    reduced = x.new_zeros(rows, columns, dim)
    for i in range(rows):
        for j in range(columns):
            cell = padded[i * r : (i + 1) * r, j * r : (j + 1) * r]
            reduced[i, j] = torch.einsum('ochw,hwc->o', m.reduce.weight, cell) + m.reduce.bias
    reduced = F.gelu(F.layer_norm(reduced, (dim,), m.norm.weight, m.norm.bias, 1e-5))
    kv1, q1 = m.kv1(reduced).flatten(0, 1), m.q1(x)
    kv2, q2 = m.kv2(x), m.q2(x)
    out, significance = torch.zeros_like(x), x.new_zeros(height, width)
    for head in range(heads):
        part = slice(head * d, (head + 1) * d)
        values = slice(dim // 2 + head * d, dim // 2 + (head + 1) * d)
        for i in range(height):
            for j in range(width):
                attention = (kv1[:, part] @ q1[i, j, part] / d**0.5).softmax(0)
                out[i, j, part] = attention @ kv1[:, values]
                # Mean over heads and queries, scaled to what 49 keys (here side^2) would give.
                mean = attention / (heads * height * width) * (rows * columns) / side**2
                for a in range(height):
                    for b in range(width):
                        significance[a, b] += mean[a // r * columns + b // r]
                top, left = i // side * side, j // side * side
                window = kv2[top : top + side, left : left + side]
                attention = (window[..., part] @ q2[i, j, part] / d**0.5).flatten().softmax(0)
                out[i, j, values] = attention @ window[..., values].flatten(0, 1)
                found = attention.reshape(window.shape[:2]) / (heads * side**2)
                significance[top : top + side, left : left + side] += found
    return m.proj(out + m.lepe(x[None])[0]), significance


@pytest.mark.parametrize('size', [(6, 6), (1, 1), (5, 7), (2, 4), (7, 1)], ids=str)
def test_formula(size: tuple[int, int]) -> None:
    """A size that everything divides, and sizes that nothing divides."""
    mixer = lively()
    x = torch.randn(2, *size, 8, dtype=torch.float64)
    mixed, significance = mixer(x)
    for image in range(2):
        want, want_significance = written_out(mixer, x[image])
        torch.testing.assert_close(mixed[image], want)
        torch.testing.assert_close(significance[image], want_significance)


@pytest.mark.parametrize('size', [(7, 7), (21, 28), (20, 33), (3, 40)], ids=str)
def test_significance_does_not_depend_on_the_size_of_the_map(size: tuple[int, int]) -> None:
    """Each half has a mean of 1 / 49, but for the parts of reduced pixels beyond the border."""
    mixer = lively(reduction=4, window=7)
    x = torch.randn(1, *size, 8, dtype=torch.float64)
    local, everywhere = (look(x)[1] for look in (mixer._look_locally, mixer._look_globally))
    assert local.mean().item() == pytest.approx(1 / 49)
    assert everywhere[:, ::4, ::4].mean().item() == pytest.approx(1 / 49)
    torch.testing.assert_close(mixer(x)[1], local + everywhere)


def test_the_last_rows_and_columns_count() -> None:
    """In the global heads too: a stride that does not divide must not cut them off."""
    mixer = lively(window=1, reduction=4)
    x = torch.randn(1, 9, 9, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, 8, 8] += 1
    moved = (mixer(changed)[0] - mixer(x)[0]).abs().sum(-1)[0]
    assert moved[0, 0] > 1e-6


def test_one_path_computes_windows_of_all_sizes() -> None:
    """Masking (an 8 x 8 map) and none (a 7 x 7 map) agree where windows are the same."""
    mixer = lively(window=7)
    x = torch.randn(1, 8, 8, 8, dtype=torch.float64)
    whole, part = mixer._look_locally(x), mixer._look_locally(x[:, :7, :7])
    for got, want in zip(whole, part, strict=True):
        torch.testing.assert_close(got[:, :7, :7], want)


def test_significance_has_no_gradient_the_map_has() -> None:
    mixer = lively()
    x = torch.randn(1, 5, 4, 8, dtype=torch.float64, requires_grad=True)
    mixed, significance = mixer(x)
    assert not significance.requires_grad
    mixed.square().sum().backward()
    assert [n for n, p in mixer.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize('dim, heads', [(8, 3), (8, 1), (8, 0), (9, 2)])
def test_heads_that_do_not_divide(dim: int, heads: int) -> None:
    says = f'num_heads must be even and divide dim {dim}, got {heads}'
    with pytest.raises(ValueError, match=says):
        HybridScaleAttention(dim, heads)


@pytest.mark.parametrize('reduction, window', [(0, 7), (4, 0)])
def test_impossible_sizes(reduction: int, window: int) -> None:
    says = f'reduction and window must be at least 1, got {reduction} and {window}'
    with pytest.raises(ValueError, match=says):
        HybridScaleAttention(8, 2, reduction, window)

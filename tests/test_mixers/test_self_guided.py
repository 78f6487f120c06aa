"""Self-guided attention against its specification, in both scan orders of the map."""

import math

import pytest
import torch
from torch import Tensor, nn

from mmsmt.mixers import SelfGuidedAttention
from mmsmt.mixers.self_guided import split_sizes


def lively(dim: int = 8, heads: int = 4, runs: tuple[int, ...] = (4, 3, 2)) -> SelfGuidedAttention:
    torch.manual_seed(0)
    mixer = SelfGuidedAttention(dim, heads, runs)
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.6)
    return mixer.double()


def merge_sorted(m: SelfGuidedAttention, tokens: Tensor, significance: Tensor) -> Tensor:
    """Merge a sequence of tokens (N, C): sort, cut, weigh, one run at a time."""
    order = sorted(range(len(tokens)), key=lambda i: significance[i].item())
    count, parts = len(order), len(m.runs)
    first = count // 4 if parts == 3 else count // 2
    cuts = [0, first, count] if parts == 2 else [0, first, count - first, count]
    merged = []
    for part, run in enumerate(m.runs):
        members = order[cuts[part] : cuts[part + 1]]
        for start in range(0, len(members), run):
            chosen = members[start : start + run]
            chosen = chosen + members[-1:] * (run - len(chosen))
            weight, bias = m.merges[part].weight[0], m.merges[part].bias
            merged.append(sum(w * tokens[i] for w, i in zip(weight, chosen)) + bias)
    return torch.stack(merged)


def in_two_scan_orders(m: SelfGuidedAttention, x: Tensor, significance: Tensor) -> Tensor:
    """Of one image, as released: rows for the first half of the heads, columns for the second."""
    height, width, dim = x.shape
    d, half = dim // m.num_heads, dim // 2
    rows = merge_sorted(m, x.reshape(-1, dim), significance.reshape(-1))
    columns = merge_sorted(
        m, x.transpose(0, 1).reshape(-1, dim), significance.transpose(0, 1).reshape(-1)
    )
    kv = [m.kv1(rows), m.kv2(columns)]
    q, out = m.q(x).reshape(-1, dim), x.new_zeros(height * width, dim)
    for head in range(m.num_heads):
        part = slice(head * d, (head + 1) * d)
        place = head * d % half
        sequence = kv[head * 2 // m.num_heads]
        keys = sequence[:, place : place + d]
        values = sequence[:, half + place : half + place + d]
        out[:, part] = (q[:, part] @ keys.T / d**0.5).softmax(-1) @ values
    return m.proj(out.reshape(x.shape) + m.lepe(x[None])[0])


@pytest.mark.parametrize('runs', [(4, 3, 2), (2, 1), (5, 1, 1), (1, 7)], ids=str)
@pytest.mark.parametrize('size', [(4, 6), (1, 1), (1, 3), (5, 7)], ids=str)
def test_one_sort_equals_two_scan_orders(size: tuple[int, int], runs: tuple[int, ...]) -> None:
    mixer = lively(runs=runs)
    x = torch.randn(2, *size, 8, dtype=torch.float64)
    significance = torch.rand(2, *size)
    assert all(len(set(s.flatten().tolist())) == math.prod(size) for s in significance), 'ties'
    got = mixer(x, significance)
    for image in range(2):
        want = in_two_scan_orders(mixer, x[image], significance[image])
        torch.testing.assert_close(got[image], want)


def test_ties_stay_row_by_row() -> None:
    """Runs of a map without differences are its rows, in every run of the program."""
    mixer = lively(runs=(3, 3))
    x = torch.randn(1, 4, 3, 8, dtype=torch.float64)
    got = mixer.aggregate(x, torch.zeros(1, 4, 3))
    weights = [mixer.merges[i // 2].weight[0] for i in range(4)]
    biases = [mixer.merges[i // 2].bias for i in range(4)]
    want = torch.stack([w @ x[0, i] + b for i, (w, b) in enumerate(zip(weights, biases))])
    torch.testing.assert_close(got[0], want)


@pytest.mark.parametrize('size', [1, 2, 3, 4, 5, 31, 32, 3136])
def test_every_token_is_in_one_part(size: int) -> None:
    halves, quarters = split_sizes(size, 2), split_sizes(size, 3)
    assert sum(halves) == sum(quarters) == size
    assert halves == [size // 2, (size + 1) // 2]
    assert quarters[0] == quarters[2] == size // 4


@pytest.mark.parametrize(
    'size, runs, tokens', [(56, (196, 56, 28), 60), (28, (49, 14, 7), 60), (14, (2, 1), 147)]
)
def test_number_of_tokens_at_224_pixels(size: int, runs: tuple[int, ...], tokens: int) -> None:
    mixer = SelfGuidedAttention(8, 2, runs)
    merged = mixer.aggregate(torch.randn(1, size, size, 8), torch.rand(1, size, size))
    assert merged.shape == (1, tokens, 8)


def test_the_least_significant_are_merged_hardest() -> None:
    """A token of the highest quarter shares its run with fewest others."""
    mixer = lively(runs=(6, 3, 2))
    for merge in mixer.merges:
        nn.init.ones_(merge.weight)
        nn.init.zeros_(merge.bias)
    x = torch.zeros(1, 4, 6, 8, dtype=torch.float64)
    x[..., 0] = significance = torch.arange(24.0).reshape(1, 4, 6)
    merged = mixer.aggregate(x, significance.flip(1, 2))[0, :, 0]
    assert merged.tolist() == [
        *(sum(range(18, 24)), 48, 39, 30, 21),  # 23 to 18; 17 16 15; 14 13 12; ...
        *(9, 5, 1),  # 5 4; 3 2; 1 0
    ]


def test_nan_is_most_significant_and_nothing_breaks() -> None:
    mixer = lively()
    significance = torch.rand(1, 4, 6)
    significance[0, 1, 2] = torch.nan
    x = torch.randn(1, 4, 6, 8, dtype=torch.float64)
    want = torch.where(significance.isnan(), 2.0, significance)
    assert torch.equal(mixer(x, significance), mixer(x, want))


def test_every_weight_gets_a_gradient() -> None:
    mixer = lively()
    x = torch.randn(1, 4, 6, 8, dtype=torch.float64, requires_grad=True)
    mixer(x, torch.rand(1, 4, 6)).square().sum().backward()
    assert [n for n, p in mixer.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert x.grad.any(-1).all()


def test_too_small_a_map_leaves_zero_gradients_rather_than_none() -> None:
    """Data-parallel training waits for every gradient."""
    mixer = lively()
    mixer(torch.randn(1, 1, 1, 8, dtype=torch.float64), torch.rand(1, 1, 1)).sum().backward()
    assert mixer.merges[1].weight.grad.any()
    assert not mixer.merges[0].weight.grad.any()


@pytest.mark.parametrize('dim, heads', [(8, 3), (8, 1), (8, 0), (9, 2)])
def test_heads_that_do_not_divide(dim: int, heads: int) -> None:
    says = f'num_heads must be even and divide dim {dim}, got {heads}'
    with pytest.raises(ValueError, match=says):
        SelfGuidedAttention(dim, heads)


@pytest.mark.parametrize('runs', [(), (4,), (1, 2, 3, 4), (2, 0)])
def test_impossible_runs(runs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match='runs must be two or three positive integers, got'):
        SelfGuidedAttention(8, 2, runs)

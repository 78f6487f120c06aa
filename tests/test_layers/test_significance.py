"""Received attention against the whole matrix; the size of its chunks."""

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from mmsmt.layers import significance
from mmsmt.layers.significance import key_significance


def maps(queries: int, keys: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(queries)
    q = torch.randn(2, queries, 12, generator=generator, dtype=torch.float64)
    return q, torch.randn(2, keys, 12, generator=generator, dtype=torch.float64)


def matrix(q: Tensor, k: Tensor, heads: int) -> Tensor:
    width = q.shape[-1] // heads
    parts = [slice(h * width, (h + 1) * width) for h in range(heads)]
    scores = [q[..., p] @ k[..., p].transpose(1, 2) / width**0.5 for p in parts]
    return torch.stack(scores, dim=1)


@pytest.mark.parametrize('chunk', [1, 2 * 3 * 5 * 4, 10**6])
@pytest.mark.parametrize('heads', [1, 3])
def test_column_sums_in_chunks(heads: int, chunk: int) -> None:
    q, k = maps(11, 5)
    want = matrix(q, k, heads).softmax(-1).sum(2).mean(1)
    got = key_significance(q, k, heads, chunk=chunk)
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(got.sum(1), torch.full((2,), 11.0, dtype=torch.float64))


def test_no_more_than_a_chunk_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    softmax = Tensor.softmax

    def spy(scores: Tensor, *args: object, **options: object) -> Tensor:
        sizes.append(scores.numel())
        return softmax(scores, *args, **options)

    monkeypatch.setattr(Tensor, 'softmax', spy)
    q, k = torch.randn(1, 5000, 8), torch.randn(1, 1000, 8)
    key_significance(q, k, 2)
    assert len(sizes) == 3
    assert max(sizes) <= significance.CHUNK < sum(sizes) == 5000 * 1000 * 2


@pytest.mark.parametrize('chunk', [1, 10**6])
def test_invalid_positions_neither_give_nor_receive(chunk: int) -> None:
    q, k = maps(6, 6)
    valid = torch.tensor([[True] * 6, [True, False, True, True, False, False]])
    got = key_significance(q, k, 3, valid, chunk=chunk)
    torch.testing.assert_close(got[:1], key_significance(q[:1], k[:1], 3))
    own = valid[1]
    torch.testing.assert_close(
        got[1, own], key_significance(q[1:, own], k[1:, own], 3)[0], msg='of the valid alone'
    )
    assert not got[1, ~own].any()


def test_has_no_gradient_and_is_float32_at_least() -> None:
    q = torch.randn(1, 4, 8, requires_grad=True)
    assert not key_significance(q, q, 2).requires_grad
    for dtype in (torch.bfloat16, torch.float16):
        assert key_significance(q.to(dtype), q.to(dtype), 2).dtype == torch.float32


def test_empty_batch() -> None:
    assert key_significance(torch.zeros(0, 4, 8), torch.zeros(0, 3, 8), 2).shape == (0, 3)


@pytest.mark.slow
def test_one_compiled_graph_serves_sizes_of_as_many_chunks() -> None:
    """A loop that counts queries would be compiled again for every size of an image."""
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(key_significance, fullgraph=True, dynamic=True, backend=counter)
    for batch, queries, keys in ((2, 40, 6), (3, 50, 8), (4, 31, 5)):
        q, k = torch.randn(batch, queries, 8), torch.randn(batch, keys, 8)
        torch.testing.assert_close(compiled(q, k, 2), key_significance(q, k, 2))
    assert counter.frame_count == 1, f'compiled {counter.frame_count} times'

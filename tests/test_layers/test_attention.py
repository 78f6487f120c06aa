"""Fused attention against its formula, one image and head at a time."""

import pytest
import torch
from torch import Tensor

from mmsmt.layers import attend, split_heads


def written_out(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    width = q.shape[-1] // heads
    out = torch.empty_like(q).flatten(1, -2)
    for image in range(len(q)):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            one = [t[image, ..., part].reshape(-1, width) for t in (q, k, v)]
            scores = one[0] @ one[1].T / width**0.5
            if mask is not None:
                scores[:, ~mask[image]] = -torch.inf
            out[image, :, part] = scores.softmax(-1) @ one[2]
    return out.reshape(q.shape)


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('heads', [1, 3, 12])
def test_formula(heads: int, masked: bool) -> None:
    generator = torch.Generator().manual_seed(heads)
    q = torch.randn(2, 4, 5, 12, generator=generator, dtype=torch.float64)
    k, v = torch.randn(2, 2, 3, 7, 12, generator=generator, dtype=torch.float64)
    mask = torch.rand(2, 21, generator=generator) > 0.4 if masked else None
    got = attend(q, k, v, heads, None if mask is None else mask[:, None, None])
    torch.testing.assert_close(got, written_out(q, k, v, heads, mask))


def test_heads_are_consecutive_slices() -> None:
    x = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    heads = split_heads(x, 2)
    assert heads.shape == (2, 2, 12, 3)
    assert torch.equal(heads[1, 1, 5], x[1, 1, 1, 3:])

"""Attention with a convolution on the values, against its formula."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mmsmt.mixers import MultiHeadSelfAttention


def written_out(msa: MultiHeadSelfAttention, x: Tensor) -> Tensor:
    """The specification with an explicit softmax, one head and image at a time."""
    dim = x.shape[-1]
    width = dim // msa.num_heads
    q, kv = msa.q(x), msa.kv(x)
    k, v = kv[..., :dim], kv[..., dim:]
    out = torch.zeros_like(x)
    for image in range(len(x)):
        for head in range(msa.num_heads):
            part = slice(head * width, (head + 1) * width)
            one = [t[image, ..., part].reshape(-1, width) for t in (q, k, v)]
            weights = torch.softmax(one[0] @ one[1].T / width**0.5, dim=-1)
            out[image, ..., part] = (weights @ one[2]).reshape(*x.shape[1:3], width)
    seen, conv = (v, msa.dwconv) if msa.local == 'values' else (msa.lepe.linear(x), msa.lepe.dwconv)
    local = F.conv2d(seen.permute(0, 3, 1, 2), conv.weight, conv.bias, padding=1, groups=dim)
    return msa.proj(out + local.permute(0, 2, 3, 1))


@pytest.mark.parametrize('heads', [1, 3, 12])
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('local', ['values', 'input'])
def test_formula(heads: int, bias: bool, local: str) -> None:
    torch.manual_seed(0)
    msa = MultiHeadSelfAttention(12, heads, qkv_bias=bias, local=local).double()
    x = 3 * torch.randn(2, 4, 5, 12, dtype=torch.float64)
    torch.testing.assert_close(msa(x), written_out(msa, x))
    assert (msa.q.bias is not None) is bias
    assert (msa.kv.bias is not None) is bias


def test_unknown_input_of_the_convolution() -> None:
    with pytest.raises(ValueError, match="MSA: local must be values or input, got 'keys'"):
        MultiHeadSelfAttention(8, 2, local='keys')

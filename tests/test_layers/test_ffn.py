"""The feed-forward network against its formula, written out."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mmsmt.layers import FFN, ConvFFN


def depthwise3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depth-wise 3x3 on (B, H, W, C) as nine shifted products."""
    height, width = x.shape[1:3]
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    out = bias.expand_as(x)
    for i in range(3):
        for j in range(3):
            out = out + padded[:, i : i + height, j : j + width] * weight[:, 0, i, j]
    return out


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def test_formula() -> None:
    torch.manual_seed(0)
    ffn = ConvFFN(6, 2.5).double()
    x = 3 * torch.randn(2, 5, 4, 6, dtype=torch.float64)
    hidden = x @ ffn.fc1.weight.T + ffn.fc1.bias
    assert hidden.shape[-1] == 15
    hidden = gelu(hidden + depthwise3(hidden, ffn.dwconv.weight, ffn.dwconv.bias))
    torch.testing.assert_close(ffn(x), hidden @ ffn.fc2.weight.T + ffn.fc2.bias)


def test_plain_formula() -> None:
    torch.manual_seed(0)
    ffn = FFN(6, 2.5).double()
    x = 3 * torch.randn(2, 5, 4, 6, dtype=torch.float64)
    hidden = gelu(x @ ffn.fc1.weight.T + ffn.fc1.bias)
    assert hidden.shape[-1] == 15
    torch.testing.assert_close(ffn(x), hidden @ ffn.fc2.weight.T + ffn.fc2.bias)


def test_one_pixel() -> None:
    assert ConvFFN(4)(torch.randn(2, 1, 1, 4)).shape == (2, 1, 1, 4)

"""Locally enhanced position against its formula."""

import torch
from torch import nn
from torch.nn import functional as F

from mmsmt.layers import LocalPosition


def test_formula() -> None:
    lepe = LocalPosition(6)
    for parameter in lepe.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, 4, 5, 6)
    mixed = (x @ lepe.linear.weight.T + lepe.linear.bias).permute(0, 3, 1, 2)
    want = F.conv2d(mixed, lepe.dwconv.weight, lepe.dwconv.bias, padding=1, groups=6)
    torch.testing.assert_close(lepe(x), want.permute(0, 2, 3, 1))

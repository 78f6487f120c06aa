"""Modules without memory: shapes as with it, and what hosts compute while building still works."""

import torch
from torch import nn

from mmsmt.backbones import SMT
from mmsmt.hosts.meta_device import Weightless


def test_no_memory_and_the_same_shapes() -> None:
    with Weightless():
        model = SMT('pico')
    assert all(p.is_meta for p in model.parameters())
    shapes = {name: value.shape for name, value in SMT('pico').state_dict().items()}
    assert {name: value.shape for name, value in model.state_dict().items()} == shapes


def test_numbers_can_be_computed() -> None:
    with Weightless():
        rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        filled = nn.init.trunc_normal_(torch.empty(2, 3), std=0.02)
        there = torch.zeros(2, device='cpu').add_(1)
    assert rates == [0, 0.5, 1]
    assert filled.is_meta
    assert there.tolist() == [1, 1]

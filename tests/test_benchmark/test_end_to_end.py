"""The share of the backbone in a training step of a whole model."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmsmt.benchmark import end_to_end

CLOCK = [0.0]


class Slow(torch.autograd.Function):
    """The identity, which takes some of the clock's time in either direction."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ahead: float, back: float) -> Tensor:
        CLOCK[0] += ahead
        ctx.back = back
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        CLOCK[0] += ctx.back
        return gradient, None, None


class TwoMaps(nn.Module):
    """A backbone whose second map is made of its first."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        first = Slow.apply(x, 1, 10)
        return first, Slow.apply(first, 2, 20)


def test_the_share_of_the_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_to_end.time, 'perf_counter', lambda: CLOCK[0])
    backbone = TwoMaps()
    with end_to_end.backbone_seconds(backbone) as spent:
        first, second = backbone(torch.ones(2, requires_grad=True))
        loss = Slow.apply(first, 100, 1000).sum() + Slow.apply(second, 100, 1000).sum()
        loss.backward()
        assert spent() == 1 + 2 + 10 + 20
    assert not backbone._forward_hooks and not backbone._forward_pre_hooks

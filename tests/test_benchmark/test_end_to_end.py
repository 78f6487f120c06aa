"""Whole models: the share of the backbone, and a run of everything on a small detector."""

import sys
from pathlib import Path
from typing import Any

import end_to_end
import pytest
import torch
from torch import Tensor, nn

from mmsmt.datasets.digits import Parameters, prepare_digits

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


def test_a_small_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    prepare_digits(tmp_path / 'digits', Parameters(1, 1, 160, 0))
    config = end_to_end.ROOT / 'configs/digits/retinanet_smt_pico.py'
    options = [
        '--data',
        str(tmp_path / 'digits'),
        '--rounds',
        '2',
        '--images',
        '2',
        '--threads',
        '1',
    ]
    monkeypatch.setattr(sys, 'argv', ['end_to_end.py', f'pico={config}', *options])
    end_to_end.main()
    header, _, eager, deployed = capsys.readouterr().out.strip().splitlines()[-4:]
    assert 'backbone in it' in header and eager.startswith('| pico | ') and '%' in eager
    assert deployed.startswith('| pico, deploy | | | ')

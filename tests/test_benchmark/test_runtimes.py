"""Runtimes as ways of the benchmark: what they run, and that its maps are PyTorch's."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mmsmt.benchmark import runtimes
from mmsmt.benchmark.contenders import Contender
from mmsmt.benchmark.jobs import FORWARD, Job, Settings, Shape, prepare
from mmsmt.benchmark.measurement import time_jobs
from mmsmt.benchmark.runtimes import RUNTIMES, runtime_call
from mmsmt.deploy.onnx.session import OnnxRuntimeSession
from mmsmt.deploy.openvino.session import read_model
from mmsmt.errors import UsageError

PICO = Contender('pico', 'mmsmt', 'SMT', dict(arch='pico'))
SHAPE = Shape(2, 40, 33)


@pytest.mark.parametrize('way', RUNTIMES)
@pytest.mark.parametrize('library', ['mmsmt', 'plain'])
def test_a_small_backbone(library: str, way: str) -> None:
    job = Job(PICO._replace(library=library), way, 'contiguous', SHAPE, FORWARD)
    maps = prepare(job, Settings())().values()
    assert [x.shape[2:] for x in maps] == [(10, 8), (5, 4), (3, 2), (2, 1)]


@pytest.mark.parametrize('way', RUNTIMES)
def test_other_numbers_are_computed(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Precisions differ from PyTorch by what they should, so that it is they that run."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    model = OneMap(layers).eval()
    monkeypatch.setattr(runtimes, 'build', lambda contender: model)
    monkeypatch.setattr(runtimes, '_last', [])
    run = runtime_call(PICO._replace(library='plain'), (1, 40, 40), way, 1)
    (written,) = runtimes._last
    (found,) = run().values()
    (expected,) = written.maps
    gap = ((torch.from_numpy(found) - expected).abs().max() / expected.abs().max()).item()
    least, most = {'openvino-bf16': (1e-4, 0.02), 'openvino-int8': (1e-4, 0.1)}.get(way, (0, 1e-5))
    assert least <= gap <= most


class OneMap(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.layers(x),)


@pytest.mark.parametrize(
    ('package', 'call'),
    [
        ('onnxruntime', lambda: OnnxRuntimeSession(b'', 1)),
        ('openvino', lambda: read_model(b'')),
    ],
)
def test_without_the_package(package: str, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    extra = 'onnx' if package == 'onnxruntime' else package
    with pytest.raises(UsageError, match=rf"is not installed: pip install 'mmsmt\[{extra}\]'"):
        call()


def test_what_is_exported_is_the_deploy_form_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed: list[Any] = []
    monkeypatch.setattr(runtimes, 'deploy', lambda model: deployed.append(model) or model)
    monkeypatch.setattr(runtimes, '_last', [])
    for way in ('openvino', 'openvino-bf16', 'onnxruntime'):
        prepare(Job(PICO, way, 'contiguous', SHAPE, FORWARD), Settings())
    assert len(deployed) == 1


def test_other_maps_are_named_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    original = OnnxRuntimeSession.__call__

    def larger(self: OnnxRuntimeSession, images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: 1.01 * value for name, value in original(self, images).items()}

    monkeypatch.setattr(runtimes.OnnxRuntimeSession, '__call__', larger)
    monkeypatch.setattr('mmsmt.benchmark.measurement.SIDES', {'cpu': 64})
    monkeypatch.setattr('mmsmt.benchmark.measurement.COPIED', {'cpu': 64})
    job = Job(PICO, 'onnxruntime', 'contiguous', SHAPE, FORWARD)
    (result,) = time_jobs([job], Settings(rounds=2, warmup=0))['jobs']
    assert 'maps in ONNX Runtime differ by' in result['failed'] and 'seconds' not in result

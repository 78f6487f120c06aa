"""ONNX Runtime as a way of the benchmark: what it runs, and that its maps are PyTorch's."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mmsmt.benchmark import jobs
from mmsmt.benchmark.contenders import Contender
from mmsmt.benchmark.jobs import FORWARD, Job, Settings, Shape, prepare
from mmsmt.benchmark.measurement import time_jobs
from mmsmt.deploy.onnx.verify import open_session
from mmsmt.errors import UsageError

PICO = Contender('pico', 'mmsmt', 'SMT', dict(arch='pico'))
SHAPE = Shape(2, 40, 33)


@pytest.mark.parametrize('library', ['mmsmt', 'plain'])
def test_a_small_backbone(library: str) -> None:
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason='needs pip install -r requirements/export.txt')
    job = Job(PICO._replace(library=library), 'onnxruntime', 'contiguous', SHAPE, FORWARD)
    maps = prepare(job, Settings())()
    assert [x.shape[2:] for x in maps] == [(10, 8), (5, 4), (3, 2), (2, 1)]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UsageError, match=r'requirements/export\.txt'):
        open_session(b'', 1)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], list[Any]]:
    """Stand-ins for exporter and runtime, whose maps are larger by a factor."""

    def install(factor: float) -> list[Any]:
        seen: list[Any] = []

        def export(model: nn.Module, inputs: Any, **options: Any) -> Any:
            seen.append(model)
            content = SimpleNamespace(SerializeToString=lambda: b'content')
            return SimpleNamespace(model_proto=content)

        def run(names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            with torch.no_grad():
                maps = seen[0](torch.from_numpy(inputs['images']))
            return [factor * x.numpy() for x in maps]

        def open_session(content: bytes, threads: int) -> Any:
            seen.append((content, threads))
            return SimpleNamespace(run=run)

        monkeypatch.setattr(torch.onnx, 'export', export)
        monkeypatch.setattr(jobs, 'open_session', open_session)
        monkeypatch.setattr(jobs, 'translations', dict)
        monkeypatch.setattr(jobs, 'deploy', lambda model: nn.Sequential(model))
        return seen

    return install


def test_the_deploy_form_runs(exported: Callable[[float], list[Any]]) -> None:
    seen = exported(1.0)
    job = Job(PICO, 'onnxruntime', 'contiguous', SHAPE, FORWARD)
    assert len(prepare(job, Settings(threads=3))()) == 4
    assert type(seen[0]) is nn.Sequential and seen[1] == (b'content', 3)


def test_other_maps_are_named_in_the_table(
    exported: Callable[[float], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(1.01)
    monkeypatch.setattr('mmsmt.benchmark.measurement.SIDES', {'cpu': 64})
    monkeypatch.setattr('mmsmt.benchmark.measurement.COPIED', {'cpu': 64})
    job = Job(PICO, 'onnxruntime', 'contiguous', SHAPE, FORWARD)
    (result,) = time_jobs([job], Settings(rounds=2, warmup=0))['jobs']
    assert 'maps in ONNX Runtime differ by' in result['failed'] and 'seconds' not in result

"""Tensors made once: which are kept, for how long, and when not."""

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from mmsmt.layers import cached_constant
from mmsmt.layers.constant_cache import KEPT


def counted() -> tuple[list[int], object]:
    made: list[int] = []

    @cached_constant
    def ramp(length: int, device: torch.device) -> Tensor:
        made.append(length)
        return torch.arange(length, device=device)

    return made, ramp


CPU = torch.device('cpu')


def test_equal_arguments_give_the_same_tensor() -> None:
    made, ramp = counted()
    assert ramp(3, CPU) is ramp(3, CPU)
    assert ramp(3, CPU).tolist() == [0, 1, 2]
    assert ramp(3, torch.device('meta')).is_meta
    assert ramp(4, CPU).tolist() == [0, 1, 2, 3]
    assert made == [3, 3, 4]


def test_the_one_longest_unused_goes_first() -> None:
    made, ramp = counted()
    for length in range(KEPT):
        ramp(length, CPU)
    ramp(0, CPU)
    ramp(KEPT, CPU)
    del made[:]
    ramp(0, CPU)
    ramp(1, CPU)
    assert made == [1]


def test_made_in_inference_mode_it_still_serves_training() -> None:
    _, ramp = counted()
    with torch.inference_mode():
        first = ramp(3, CPU)
    assert not first.is_inference()


def test_a_tracers_fake_tensor_is_not_kept() -> None:
    _, ramp = counted()
    with FakeTensorMode():
        ramp(3, CPU)
    assert type(ramp(3, CPU)) is Tensor


def test_compilers_see_it_made() -> None:
    _, ramp = counted()
    kept = ramp(3, CPU)
    compiled = torch.compile(lambda x: x + ramp(3, x.device), fullgraph=True, backend='eager')
    assert torch.equal(compiled(torch.zeros(3)), kept.float())


def test_a_graph_that_is_captured_owns_its_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache would free tensors that a CUDA graph still reads."""
    made: list[int] = []

    @cached_constant
    def ramp(length: int) -> torch.Tensor:
        made.append(length)
        return torch.arange(length)

    ramp(3)
    monkeypatch.setattr('mmsmt.layers.constant_cache._is_capturing', lambda: True)
    assert ramp(3) is not ramp(3)
    monkeypatch.undo()
    assert ramp(3) is ramp(3) and made == [3, 3, 3]


@pytest.mark.cuda
def test_a_graph_on_a_gpu_makes_its_own() -> None:
    """A device has tensors of its own; capture neither takes nor leaves one in the cache."""
    made, ramp = counted()
    gpu = torch.device('cuda', torch.cuda.current_device())
    assert ramp(3, gpu) is ramp(3, gpu) is not ramp(3, CPU)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = ramp(3, gpu)
        ramp(4, gpu)
    assert captured is not ramp(3, gpu)
    ramp(4, gpu)
    assert made == [3, 3, 3, 4, 4]
    captured.zero_()
    graph.replay()
    assert captured.tolist() == [0, 1, 2]

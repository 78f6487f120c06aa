"""Peak memory and time of backbones against the area of the image, on the CPU (Linux)."""

import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from mmsmt.analysis.whole_matrices import count_matrix_bytes, whole_matrices
from mmsmt.benchmark.timing import time_in_turn
from mmsmt.deploy.onnx.difference import relative_difference
from mmsmt.engine.tool import quiet
from mmsmt.hosts.model import backbone_of, load_subject
from mmsmt.hosts.request import Request

FORWARD, TRAINING = 'forward', 'training step'
STEPS = (FORWARD, TRAINING)
WARM_UP = 64  # side of an image that makes thread pools and caches before memory is measured


class Series(NamedTuple):
    """What is measured over all sizes.

    Args:
        label: Name in table and plot.
        config: As `read_config` takes it.
        whole: Whether attention matrices are held whole, see `whole_matrices`.
    """

    label: str
    config: str
    whole: bool = False


def load_backbone(series: Series) -> nn.Module:
    """Build a series' backbone, random weights, in evaluation mode."""
    return backbone_of(load_subject(Request(series.label, series.config)).model)


def run_step(backbone: Any, images: Tensor, step: str, whole: bool) -> tuple[Tensor, ...]:
    """Run the backbone forward, for a training step backward too; gradients are dropped."""
    training = step == TRAINING
    backbone.train(training)
    with torch.set_grad_enabled(training), whole_matrices() if whole else nullcontext():
        outputs = cast(tuple[Tensor, ...], backbone(images))
    if training:
        torch.stack([output.mean() for output in outputs]).sum().backward()
        backbone.zero_grad(set_to_none=True)
    return outputs


def _status(field: str) -> int:
    """A field of this process's memory in bytes, `VmRSS` or its peak `VmHWM`."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def added_memory(call: Callable[[], Any]) -> int:
    """Bytes that a call adds to what this process holds, at its peak."""
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew from here
    before = _status('VmRSS')
    call()
    return _status('VmHWM') - before


def peak_memory(series: Series, side: int, step: str, limit: int) -> int | None:
    """Memory that a step adds to this process at its peak; call it in a fresh one.

    Args:
        series: What to run.
        side: Of one square image.
        step: Of `STEPS`.
        limit: Bytes that the process may have; it keeps the limit.

    Returns:
        Bytes beyond the loaded network; None where the limit is too low.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        backbone = load_backbone(series)
        run_step(backbone, torch.rand(1, 3, WARM_UP, WARM_UP), step, series.whole)
        images = torch.rand(1, 3, side, side)
        return added_memory(lambda: run_step(backbone, images, step, series.whole))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and 'allocate memory' not in str(error):
            raise
        return None


def seconds(series: Sequence[Series], side: int, step: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of a step, in turn between the series.

    Returns:
        By label: median, first and third quartile.
    """
    images = torch.rand(1, 3, side, side)
    backbones = {s.label: load_backbone(s) for s in series}
    calls = {
        s.label: (lambda s=s: run_step(backbones[s.label], images, step, s.whole)) for s in series
    }
    timings = time_in_turn(calls, rounds, warmup=1)
    return {label: list(timing) for label, timing in timings.items()}


def _ready() -> None:
    """Silence; a process that has done it has imported this package."""
    quiet()


def in_fresh_process(function: Any, *arguments: Any) -> Any:
    """Call a function of this package in a process of its own.

    Returns:
        What it returns; None where the system ended the process meanwhile.
    """
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        pool.submit(_ready).result()
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            return None


def largest_difference(plain: Series, whole: Series, side: int = 97) -> float:
    """By how much the outputs of two forms of a network differ, in float64.

    Returns:
        The largest difference relative to the root mean square of an output.
    """
    images = torch.rand(2, 3, side, side, dtype=torch.float64)
    outputs = [
        run_step(load_backbone(s).double(), images, FORWARD, s.whole) for s in (plain, whole)
    ]
    return max(relative_difference(a, b) for a, b in zip(*outputs, strict=True))


def whole_bytes(series: Series, sides: Sequence[int]) -> list[dict[str, int]]:
    """Memory of the matrices that a series in the whole form holds at least, by size and step."""
    backbone = load_backbone(series).to('meta')
    counted = [count_matrix_bytes(backbone, side) for side in sides]
    # Forward, scores and their softmax exist together; training keeps the softmax of each block.
    return [{FORWARD: 2 * largest, TRAINING: total + largest} for largest, total in counted]

"""Measure jobs: time in turn in one process, peak memory each in a process of its own."""

import ctypes
import gc
import os
from collections.abc import Sequence
from typing import Any

import torch

from mmsmt.benchmark.area import added_memory
from mmsmt.benchmark.jobs import Job, Settings, prepare, prepare_process, wait_for
from mmsmt.benchmark.machine_limits import limit_calls
from mmsmt.benchmark.timing import time_in_turn

M_MMAP_THRESHOLD = -3  # malloc.h of the GNU C library
LARGE_BUFFER = 2**18  # bytes


def time_jobs(jobs: Sequence[Job], settings: Settings, rounds: int, warmup: int) -> dict[str, Any]:
    """Seconds of the jobs and of the machine's limits, all in turn, round by round.

    Args:
        jobs: What to time.
        settings: Of the run.
        rounds: That count.
        warmup: Rounds before them, beside one call of each alone.

    Returns:
        `jobs`: for each `seconds` (median, first and third quartile), or `failed`, the first line
        of PyTorch's error where the job cannot run (a compiler that fails, memory that is refused);
        `limits`: seconds of the limits; `load`: processes that wanted a core in the last minute,
        before and after.

    Raises:
        UsageError: If a network cannot be built.
    """
    prepare_process(settings)
    load = os.getloadavg()[0]
    calls: dict[Any, Any] = dict(limit_calls(settings))
    results: list[dict[str, Any]] = [{} for _ in jobs]
    for i, job in enumerate(jobs):
        try:
            call = prepare(job, settings)
            call()
        except RuntimeError as error:
            lines = str(error).splitlines() or ['']
            results[i]['failed'] = f'{type(error).__name__}: {lines[0]}'[:200]
        else:
            calls[i] = call
    timings = time_in_turn(calls, rounds, warmup, finish=wait_for(settings))
    limits = {}
    for key, timing in timings.items():
        if isinstance(key, int):
            results[key]['seconds'] = list(timing)
        else:
            limits[key] = list(timing)
    return {'jobs': results, 'limits': limits, 'load': [load, os.getloadavg()[0]]}


def peak_memory(job: Job, settings: Settings) -> int:
    """Memory that a run of a job adds at its peak; call it in a fresh process.

    Network, optimizer state, images and compiled code are there before: what counts is what the
    step needs beside them, gradients included.

    Returns:
        Bytes: resident ones on the CPU (Linux), those of PyTorch's allocator on a GPU. On the CPU
        the C library gives large freed buffers back at once here, so that both mean what is in
        use; a process that keeps some of them for the next buffer holds more.
    """
    prepare_process(settings)
    library = None if settings.device == 'cuda' else ctypes.CDLL('libc.so.6')
    if library:
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)
    call = prepare(job, settings)
    call()
    gc.collect()
    if library:
        # What the first run left in the C library's hands would hide a part of the second's.
        library.malloc_trim(0)
        return added_memory(call)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before

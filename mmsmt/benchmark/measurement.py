"""Measurement of jobs: time in turn in one process, CPU memory in one process per job."""

import ctypes
import gc
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from mmsmt.benchmark.jobs import DTYPES, GRAPH, GRAPH_DEPLOY, Job, Settings, prepare
from mmsmt.benchmark.timing import time_in_turn
from mmsmt.engine.tool import quiet

PRODUCT, COPY = 'matrix product', 'copy'  # reference operations for the machine's limits
SIDES = {'cpu': 2048, 'cuda': 8192}  # sides of matrices large enough to reach the full rate
COPIED = {'cpu': 2**28, 'cuda': 2**31}  # bytes, many times the caches
M_MMAP_THRESHOLD = -3  # malloc.h of the GNU C library
LARGE_BUFFER = 2**18  # bytes


def limit_calls(settings: Settings) -> dict[str, Callable[[], Any]]:
    """Return a large matrix product and a memory copy, to be timed in turn with the networks."""
    dtype, device = DTYPES[settings.dtype], settings.device
    a, b, product = torch.rand(3, SIDES[device], SIDES[device], device=device).to(dtype)
    source = torch.zeros(COPIED[device], dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    return {PRODUCT: lambda: torch.mm(a, b, out=product), COPY: lambda: target.copy_(source)}


def limit_rates(seconds: Mapping[str, float], device: str) -> dict[str, float]:
    """Convert seconds of `limit_calls` to operations and bytes (read and written) per second."""
    return {
        'flops': 2 * SIDES[device] ** 3 / seconds[PRODUCT],
        'bandwidth': 2 * COPIED[device] / seconds[COPY],
    }


def time_jobs(jobs: Sequence[Job], settings: Settings) -> dict[str, Any]:
    """Time the jobs and the machine's limits, all in turn, round by round.

    Returns:
        `jobs`: for each `seconds` (median, first and third quartile) and on a GPU `memory`, see
            `peak_memory`, or `failed`, the first line of PyTorch's error if the job cannot run
            (compiler error, out of memory); `limits`: seconds of the limits; `load`: the machine's
            load in the last minute, before and after.

    Raises:
        UsageError: If a network cannot be built.
    """
    settings.apply()
    load = os.getloadavg()[0]
    calls: dict[Any, Any] = dict(limit_calls(settings))
    results: list[dict[str, Any]] = [{} for _ in jobs]
    for i, job in enumerate(jobs):
        try:
            call = prepare(job, settings)
            call()
            # CUDA graphs keep their memory between replays.
            if settings.memory and settings.device == 'cuda':
                if job.way not in (GRAPH, GRAPH_DEPLOY):
                    results[i]['memory'] = _added_gpu_memory(call)
        except RuntimeError as error:
            lines = str(error).splitlines() or ['']
            results[i]['failed'] = f'{type(error).__name__}: {lines[0]}'[:200]
        else:
            calls[i] = call
    finish = torch.cuda.synchronize if settings.device == 'cuda' else lambda: None
    timings = time_in_turn(calls, settings.rounds, settings.warmup, finish)
    for i in calls.keys() & set(range(len(jobs))):
        results[i]['seconds'] = list(timings.pop(i))
    limits = {name: list(timing) for name, timing in timings.items()}
    return {'jobs': results, 'limits': limits, 'load': [load, os.getloadavg()[0]]}


def peak_memory(job: Job, settings: Settings) -> int:
    """Return the peak memory that a run of a job adds on a CPU; call it in a fresh process.

    Network, optimizer state, images and compiled code are allocated before, so only the additional
    memory of the step counts, including gradients.

    Returns:
        Resident bytes (Linux). Here the C library returns large freed buffers immediately, so
        resident
            memory is memory in use; a process that keeps freed buffers for reuse holds more.
    """
    settings.apply()
    library = ctypes.CDLL('libc.so.6')
    library.mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)
    call = prepare(job, settings)
    call()
    gc.collect()
    # Memory kept by the C library after the first run would hide part of the second run's.
    library.malloc_trim(0)
    return _added_memory(call)


def _added_gpu_memory(call: Callable[[], Any]) -> int:
    """Return the peak bytes that a call adds to PyTorch's GPU allocator."""
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _added_memory(call: Callable[[], Any]) -> int:
    """Return the peak bytes that a call adds to the memory of this process."""
    process = Path('/proc/self')

    def read(field: str) -> int:
        lines = (process / 'status').read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])

    (process / 'clear_refs').write_text('5')  # resets the peak
    before = read('VmRSS')
    call()
    return read('VmHWM') - before


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of this package in a new process; None if the system kills it."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        pool.submit(quiet).result()  # raises if no process can be started
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            return None

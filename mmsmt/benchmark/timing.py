"""Timing of several calls in turn, so that noise of the machine affects all of them equally."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Timing(NamedTuple):
    """Seconds of a call: median over the rounds, first and third quartile."""

    median: float
    low: float
    high: float


def time_in_turn(
    calls: Mapping[Any, Callable[[], Any]],
    rounds: int = 10,
    warmup: int = 2,
    finish: Callable[[], Any] = lambda: None,
) -> dict[Any, Timing]:
    """Time every call once per round.

    Args:
        calls: Calls to time, by name.
        rounds: Number of timed rounds.
        warmup: Number of untimed rounds before.
        finish: Waits until a call is finished: `torch.cuda.synchronize` on a GPU.

    Returns:
        Seconds by name.

    Raises:
        ValueError: If there are fewer than two rounds, too few for quartiles.
    """
    if rounds < 2:
        raise ValueError(f'rounds must be at least 2, got {rounds}')
    seconds: dict[Any, list[float]] = {name: [] for name in calls}
    for number in range(warmup + rounds):
        for name, call in calls.items():
            finish()
            start = time.perf_counter()
            call()
            finish()
            if number >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {k: Timing(*np.quantile(s, (0.5, 0.25, 0.75)).tolist()) for k, s in seconds.items()}

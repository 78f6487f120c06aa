"""Seconds of several things, measured in turn: a noisy machine disturbs all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Timing(NamedTuple):
    """Seconds of one thing.

    Args:
        median: Over the rounds.
        low: First quartile.
        high: Third quartile.
    """

    median: float
    low: float
    high: float


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int = 10,
    warmup: int = 2,
    finish: Callable[[], Any] = lambda: None,
) -> dict[str, Timing]:
    """Time every call once a round, round by round.

    Args:
        calls: What to time, by name.
        rounds: How often each is timed.
        warmup: Rounds before that which do not count.
        finish: Waits for what a call has started: `torch.cuda.synchronize` on a GPU.

    Returns:
        Seconds by name.

    Raises:
        ValueError: If there are fewer than two rounds, of which there is no spread.
    """
    if rounds < 2:
        raise ValueError(f'rounds must be at least 2, got {rounds}')
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warmup + rounds):
        for name, call in calls.items():
            finish()
            start = time.perf_counter()
            call()
            finish()
            if number >= warmup:
                seconds[name].append(time.perf_counter() - start)
    quartiles = {
        name: statistics.quantiles(s, n=4, method='inclusive') for name, s in seconds.items()
    }
    return {name: Timing(middle, low, high) for name, (low, middle, high) in quartiles.items()}

"""Timing in turn: order, warm-up, medians."""

import pytest

from mmsmt.benchmark import timing


def test_calls_take_turns_and_warmup_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, order = [0.0], []
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: clock[0])
    costs = {'a': iter([50, 1, 2, 9]), 'b': iter([70, 4, 4, 4])}

    def call(name: str) -> None:
        order.append(name)
        clock[0] += next(costs[name])

    calls = {name: (lambda name=name: call(name)) for name in costs}
    measured = timing.time_in_turn(calls, rounds=3, warmup=1)
    assert order == ['a', 'b'] * 4
    assert measured['a'] == (2, 1.5, 5.5) and measured['b'] == (4, 4, 4)


def test_what_a_call_started_is_waited_for() -> None:
    order: list[str] = []
    timing.time_in_turn(
        {'a': lambda: order.append('call')}, 2, 0, finish=lambda: order.append('finish')
    )
    assert order == ['finish', 'call', 'finish'] * 2


def test_one_round_has_no_spread() -> None:
    with pytest.raises(ValueError, match='at least 2'):
        timing.time_in_turn({}, rounds=1)

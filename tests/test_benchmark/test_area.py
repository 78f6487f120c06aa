"""Memory in a process of its own, and the plot of memory and time against the image area."""

import signal
from pathlib import Path

import matplotlib.figure
import pytest

from mmsmt.benchmark import plots
from mmsmt.benchmark.contenders import Contender
from mmsmt.benchmark.jobs import FORWARD, TRAINING, Job, Settings, Shape
from mmsmt.benchmark.measurement import in_fresh_process, peak_memory
from mmsmt.benchmark.plots import plot_area
from mmsmt.benchmark.table import GIB

PICO = Contender('pico', 'mmsmt', 'SGFormer', dict(arch='pico'))


def test_memory_in_a_fresh_process() -> None:
    """At its peak at least the largest map, and not many times as much."""
    job = Job(PICO, 'eager', 'contiguous', Shape(1, 448, 448), FORWARD)
    hidden = 4 * 4 * 32 * (448 // 4) ** 2  # bytes of the feed-forward's hidden map in stage 1
    assert hidden < in_fresh_process(peak_memory, job, Settings()) < 20 * hidden


def test_a_killed_process_gives_nothing() -> None:
    assert in_fresh_process(signal.raise_signal, signal.SIGKILL) is None


def group(side: int, step: str, *rows: dict, batch: int = 1) -> dict:
    return dict(shape=[batch, side, side], step=step, compiled=False, rows=list(rows))


def row(model: str, median: float, memory: int | None = None, way: str = 'eager') -> dict:
    made = dict(model=model, way=way, layout='contiguous', seconds=[median, median, median])
    return made if memory is None else made | dict(memory=memory)


def test_what_is_drawn_against_the_area(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[matplotlib.figure.Figure] = []
    monkeypatch.setattr(plots, 'save_figure', lambda figure, out: drawn.append(figure))
    failed = dict(model='b', way='eager', layout='contiguous', failed='RuntimeError: memory')
    groups = [
        group(2000, FORWARD, row('a', 4.0, 2 * GIB), failed),
        group(1000, FORWARD, row('a', 0.5, GIB), row('b', 0.7, GIB // 2)),
        group(1000, TRAINING, row('a', 1.5)),
    ]
    assert plot_area(groups, tmp_path / 'x.png')
    seconds, memory = (
        {line.get_label(): line.get_xydata().tolist() for line in axis.lines}
        for axis in drawn[0].axes
    )
    assert seconds == {
        'a, eager, forward': [[1, 0.5], [4, 4]],
        'b, eager, forward': [[1, 0.7]],
        'a, eager, training': [[1, 1.5]],
    }
    assert memory == {'a, eager, forward': [[1, 1], [4, 2]], 'b, eager, forward': [[1, 0.5]]}
    without = [group(side, FORWARD, row('a', 1.0)) for side in (64, 128)]
    assert plot_area(without, tmp_path / 'x.png') and len(drawn[1].axes) == 1


def test_areas_are_compared_at_one_batch_size(tmp_path: Path) -> None:
    one, other = group(64, FORWARD, row('a', 1.0)), group(64, TRAINING, row('a', 1.0))
    assert not plot_area([one, other], tmp_path / 'x.png')
    assert not plot_area([one, group(96, FORWARD, row('a', 1.0), batch=2)], tmp_path / 'x.png')
    assert plot_area([one, group(96, FORWARD, row('a', 1.0))], tmp_path / 'x.png')
    assert [file.name for file in tmp_path.iterdir()] == ['x.png']

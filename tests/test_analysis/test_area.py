"""Memory against area: whole matrices compute the same, bytes are counted, reports are written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmsmt.analysis.whole_matrices import count_matrix_bytes, whole_matrices
from mmsmt.backbones import SGFormer
from mmsmt.benchmark import area_report
from mmsmt.benchmark.area import (
    FORWARD,
    STEPS,
    TRAINING,
    Series,
    in_fresh_process,
    peak_memory,
    whole_bytes,
)
from mmsmt.benchmark.area_report import GIB, plot_area, report_area, tabulate_area
from mmsmt.errors import UsageError


@pytest.mark.parametrize('size', [(64, 64), (45, 97), (1, 3)], ids=str)
def test_whole_matrices_give_the_same_outputs_and_gradients(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = SGFormer('pico').double()
    results = []
    for whole in (False, True):
        x = torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        x.requires_grad_()
        if whole:
            with whole_matrices() as stand_ins:
                outputs = model(x)
            assert len(stand_ins.entries) == 3 * 3 + 1, 'two and one a pair of blocks, one at last'
        else:
            outputs = model(x)
        sum(o.square().mean() for o in outputs).backward()
        results.append([*outputs, x.grad])
    for chunked, held in zip(*results, strict=True):
        torch.testing.assert_close(chunked, held)


def test_bytes_of_matrices_by_hand() -> None:
    """Of pico at 64 pixels: maps of 16, 8, 4 and 2 pixels a side; heads 2, 2, 4, 8."""
    with torch.device('meta'):
        model = SGFormer('pico')
    entries = [
        256 * 4 * 1,  # stage 1: to 2 x 2 reduced pixels, one global head
        9 * 49 * 49 * 1,  # 3 x 3 windows, the last ones filled up
        256 * (1 + 8 + 8) * 2,  # runs of 64, 16 and 8 in 64, 128 and 64 pixels
        64 * 4 * 1,
        4 * 49 * 49 * 1,
        64 * (1 + 8 + 8) * 2,
        16 * 4 * 2,
        1 * 49 * 49 * 2,
        16 * (4 + 8) * 4,
        4 * 4 * 8,
    ]
    assert count_matrix_bytes(model, 64) == (4 * max(entries), 4 * sum(entries))


@pytest.fixture
def pico(tmp_path: Path) -> Series:
    path = tmp_path / 'pico.py'
    path.write_text("backbone = dict(type='mmsmt.SGFormer', arch='pico')\n")
    return Series('pico', str(path), whole=True)


def test_memory_in_a_fresh_process(pico: Series) -> None:
    """At its peak at least the matrices, and not many times as much; no more than the limit."""
    least = whole_bytes(pico, [448])[0][FORWARD]
    measured = in_fresh_process(peak_memory, pico, 448, FORWARD, 8 * GIB)
    assert least < measured < 4 * least
    assert in_fresh_process(peak_memory, pico, 2048, FORWARD, 2 * GIB) is None


def row(model: str, side: int, step: str, memory: int, **more: object) -> dict:
    return dict(model=model, side=side, step=step, memory=memory, ran=True) | more


ROWS = [
    row('a', 64, FORWARD, GIB, seconds=[0.5, 0.4, 0.6]),
    row('a', 64, TRAINING, 2 * GIB),
    row('b', 64, FORWARD, 3 * GIB),
    row('b', 64, TRAINING, 40 * GIB, ran=False),
]


def test_table_and_plot(tmp_path: Path) -> None:
    assert tabulate_area(ROWS).splitlines() == [
        '| image | forward, a | forward, b | training step, a | training step, b |',
        '|---|---|---|---|---|',
        '| 64 x 64 | 1.00 GiB, 0.50 s | 3.00 GiB | 2.00 GiB | not run: over 40.0 GiB |',
    ]
    plot_area(ROWS, tmp_path / 'x.png')
    assert (tmp_path / 'x.png').stat().st_size > 1000


def test_what_does_not_fit_is_neither_run_nor_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes replaced by a table: the order of measurements and what they are given."""
    calls: list[tuple] = []
    whole = {64: 10, 128: 1000}

    def stand_in(function: Callable, *args: object) -> object:
        name = function.__name__
        calls.append((name, *args[1:3]))
        if name == 'largest_difference':
            return 1e-12
        if name == 'whole_bytes':
            return [dict.fromkeys(STEPS, whole[side]) for side in args[1]]
        if name == 'peak_memory':
            return 7
        return {s.label: [1.0, 1.0, 1.0] for s in args[0]}

    monkeypatch.setattr(area_report, 'in_fresh_process', stand_in)
    series = [Series('a', 'x.py'), Series('b', 'x.py', whole=True)]
    report_area(series, [64, 128], limit=100, rounds=2, out=tmp_path / 'out')
    assert {f.name for f in (tmp_path / 'out').iterdir()} == {'area.json', 'area.md', 'area.png'}
    rows = json.loads((tmp_path / 'out' / 'area.json').read_text())
    found = {(r['model'], r['side']): (r['memory'], r['ran'], 'seconds' in r) for r in rows}
    assert found == {
        ('a', 64): (7, True, True),
        ('b', 64): (7, True, True),
        ('a', 128): (7, True, True),
        ('b', 128): (1000, False, False),
    }
    assert [c[0] for c in calls].count('peak_memory') == 2 * 2 + 2
    with pytest.raises(AssertionError, match='outputs differ by 1e-12'):
        monkeypatch.setattr(area_report, 'TOLERANCE', 1e-13)
        report_area(series, [64], 100, 0, tmp_path / 'out')


def test_bad_input(tmp_path: Path) -> None:
    for sides, rounds, says in (([], 0, 'sizes'), ([64, 0], 0, 'sizes'), ([64], 1, 'rounds')):
        with pytest.raises(UsageError, match=f'--{says} must be'):
            report_area([], sides, GIB, rounds, tmp_path / 'new')
        assert not (tmp_path / 'new').exists()

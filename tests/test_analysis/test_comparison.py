"""Curves and tables over runs and their seeds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmsmt.analysis import plot_comparison, tabulate_results
from mmsmt.analysis.runs.comparison import read_series

TOOL = Path(__file__).resolve().parents[2] / 'tools/analysis_tools/plot_logs.py'


@pytest.fixture
def groups(tmp_path: Path) -> dict[str, list[Path]]:
    """Two seeds of one network, one run of another."""
    values = {'a0': (3.0, 60.0), 'a1': (2.0, 64.0), 'b': (4.0, 55.0)}
    for name, (loss, score) in values.items():
        file = tmp_path / name / '1' / 'vis_data' / 'scalars.json'
        file.parent.mkdir(parents=True)
        records = [
            {'step': 10, 'loss': loss},
            {'step': 20, 'loss': loss / 2},
            {'mIoU': score / 2, 'step': 1},
            {'mIoU': score, 'step': 2},
        ]
        file.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return {'a': [tmp_path / 'a0', tmp_path / 'a1'], 'b': [tmp_path / 'b']}


def test_spread_is_that_of_the_seeds(groups: dict[str, list[Path]]) -> None:
    series = read_series(groups['a'], 'mIoU')
    assert series is not None
    assert series.steps.tolist() == [1, 2] and series.values.tolist() == [[30, 60], [32, 64]]
    # Of 60 and 64: sqrt(((60 - 62)^2 + (64 - 62)^2) / (2 - 1)).
    assert series.spread[-1] == pytest.approx(8**0.5)
    assert read_series(groups['a'], 'coco/bbox_mAP') is None


def test_table_has_a_row_a_group(groups: dict[str, list[Path]]) -> None:
    assert tabulate_results(groups).splitlines() == [
        '| run | seeds | mIoU |',
        '| --- | --- | --- |',
        '| a | 2 | 62 ± 2.8 |',
        '| b | 1 | 55 |',
    ]


def test_draws_a_line_a_group(groups: dict[str, list[Path]], tmp_path: Path) -> None:
    plot_comparison(groups, tmp_path / 'out.png')
    with Image.open(tmp_path / 'out.png') as picture:
        colours = {colour for _, colour in picture.convert('RGB').getcolors(1 << 16)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # the first two of matplotlib's cycle


def test_runs_that_do_not_match_are_named(groups: dict[str, list[Path]], tmp_path: Path) -> None:
    (tmp_path / 'a1/1/vis_data/scalars.json').write_text('{"step": 7, "mIoU": 1}\n')
    with pytest.raises(ValueError, match=f"{tmp_path}.*no common steps of 'mIoU'"):
        read_series(groups['a'], 'mIoU')


def test_tool(groups: dict[str, list[Path]], tmp_path: Path) -> None:
    runs = [f'{label}={folder}' for label, folders in groups.items() for folder in folders]
    out = tmp_path / 'curves.png'
    command = [sys.executable, str(TOOL), '--out', str(out)]
    result = subprocess.run([*command, *runs], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert '| a | 2 | 62 ± 2.8 |' in result.stdout and out.is_file()
    out.unlink()
    result = subprocess.run([*command, str(tmp_path / 'none')], capture_output=True, text=True)
    assert result.returncode == 1 and not out.exists()
    assert result.stderr.startswith('error: ') and 'no log of a run' in result.stderr
    assert len(result.stderr.splitlines()) == 1

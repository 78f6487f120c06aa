"""Steps of long work: shown, remembered, resumed."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mmsmt.study import steps


def test_a_failing_step_shows_its_output_and_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit, match='error: unknown command(.|\n)*step failed'):
        steps.run_step('step', ['fly'], tmp_path / 'log')
    assert 'error: unknown command' in (tmp_path / 'log').read_text()


def test_progress_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = 'INFO - Epoch(train)  [2][ 40/163]  lr: 1e-3  eta: 0:01:11  time: 0.2'
    monkeypatch.setattr(steps, 'PROGRESS_INTERVAL', 0)
    monkeypatch.setattr(steps, 'MMSMT', [sys.executable])
    steps.run_step('step', ['-c', f'print({line!r})'], tmp_path / 'log')
    assert 'train [2][ 40/163]  0:01:11 left' in capsys.readouterr().out


def record(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace the running of tools by a record of their arguments."""
    calls: list[list[str]] = []

    def run_step(name: str, arguments: list[str], log: Path, *_: Any) -> float:
        calls.append(arguments)
        return 1.0

    monkeypatch.setattr(steps, 'run_step', run_step)
    return calls


def test_an_interrupted_training_is_resumed_and_a_finished_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    log = tmp_path / 'log'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    assert steps.train('it', 'c.py', tmp_path, log, ['--amp']) == 1
    assert calls[0][:2] == ['train', 'c.py'] and calls[0][-2:] == ['--resume', '--amp']
    assert steps.train('it', 'c.py', tmp_path, log) == 1
    assert len(calls) == 1


def test_evaluation_reports_what_the_evaluator_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    checkpoint = tmp_path / 'epoch_2.pth'
    (tmp_path / 'last_checkpoint').write_text(str(checkpoint))
    written = tmp_path / 'test' / 'now' / 'now.json'
    written.parent.mkdir(parents=True)
    written.write_text(json.dumps({'mIoU': 61.5}))
    assert steps.evaluate('it', 'c.py', tmp_path, tmp_path / 'log')['mIoU'] == 61.5
    assert str(checkpoint) in calls[0]
    assert steps.evaluate('it', 'c.py', tmp_path, tmp_path / 'log')['mIoU'] == 61.5
    assert len(calls) == 1


def test_a_step_sees_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, 'MMSMT', [sys.executable])
    code = 'import os; print(os.environ["STEP"])'
    steps.run_step('step', ['-c', code], tmp_path / 'log', {'STEP': 'seventh'})
    assert (tmp_path / 'log').read_text() == 'seventh\n'

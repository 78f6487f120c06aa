"""The study as a command: from a folder of images to the page, and what it refuses."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from own_data import write_folders

from mmsmt.study import runs

Run = Callable[..., tuple[object, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photographs of pets, and a backbone of one's own."""
    monkeypatch.chdir(tmp_path)
    write_folders(tmp_path / 'pets')
    (tmp_path / 'mine.py').write_text("backbone = dict(type='mmsmt.SMT', arch='pico')\n")
    return tmp_path


@pytest.mark.slow
def test_from_images_to_the_page(run_here: Run, home: Path) -> None:
    options = ['--networks', 'sra', '--add', 'mine.py', '--seeds', '1', '--epochs', '1']
    status, out, err = run_here('study', 'pets', *options)
    assert status == 0, out + err
    page = (home / 'work_dirs/study/report.md').read_text()
    assert '2 of 2 runs: 1 epochs' in page and '| sra | ' in page and '| mine | ' in page
    record = json.loads((home / 'work_dirs/study/records/mine_seed0.json').read_text())
    assert 0 <= record['top1'] <= 100
    assert {row['kind'] for row in record['invariance']} >= {'translation', 'blur', 'jpeg'}
    assert run_here('study', 'pets', *options[:-2])[0] == 0  # nothing is left to do
    assert (home / 'work_dirs/study/report.md').read_text() == page
    _, _, err = run_here('study', 'pets', *options[:-1], '2')
    assert 'error: work_dirs/study has runs with epochs 1: choose another --out' in err


def test_after_a_failure_no_run_is_started(
    run_here: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, failed = list[str](), Event()

    def complete(run: runs.Run, _: runs.Study) -> bool:
        started.append(run.label)
        if run.label == 'halo':
            assert failed.wait(30)
            time.sleep(0.3)  # in which the other worker could start one
            return True
        failed.set()
        sys.exit('disk full')

    monkeypatch.setattr(runs, 'complete', complete)
    options = ['--networks', 'halo', 'window', 'sra', 'msa', '--epochs', '1', '--jobs', '2']
    status, _, _ = run_here('study', 'pets', *options)
    assert status == 'disk full' and sorted(started) == ['halo', 'window']


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['nowhere'], 'nowhere: no such folder'),
        (['pets', '--networks', 'halo', 'hello'], "unknown network 'hello'; known: halo, window"),
        (['pets', '--add', 'halo=mine.py'], '--add halo=mine.py: choose another LABEL'),
        (['pets', '--transfer', 'mine.py', 'x/mine.py'], '--transfer: the configs need different'),
        (['pets', '--page'], 'work_dirs/study: no finished run yet'),
        (['pets', '--seeds', '0'], '--seeds, --epochs, --jobs and --batch-size must be at least'),
        (['mine.py'], 'mine.py: not the config of a classifier training'),
    ],
)
def test_bad_input(run_here: Run, home: Path, arguments: list[str], message: str) -> None:
    (home / 'x').mkdir()
    (home / 'x/mine.py').write_text((home / 'mine.py').read_text())
    status, _, err = run_here('study', *arguments)
    assert status == 1 and f'error: {message}' in err and 'Traceback' not in err
    assert not list(home.glob('work_dirs/study/r*'))

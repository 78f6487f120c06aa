"""mmsmt check trial: which images it takes, and what it says where there are none."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmsmt.datasets.digits import Parameters, prepare_digits

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope='module')
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/digits."""
    folder = tmp_path_factory.mktemp('home')
    prepare_digits(folder / 'data/digits', Parameters(4, 2, 192, 0))
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """Try a config of this text in a folder: exit status and what is said."""
    monkeypatch.setattr('logging.disable', lambda level: None)  # would outlive the test
    monkeypatch.delenv('MMSMT_DATA', raising=False)

    def tool(folder: Path, text: str, *arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(folder)
        (tmp_path / 'mine.py').write_text(text)
        path = ROOT / 'tools/misc/try_config.py'
        monkeypatch.setattr(sys, 'argv', [path.name, str(tmp_path / 'mine.py'), *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(path), run_name='__main__')
        return stop.value.code, capsys.readouterr().out.partition('mine.py: ')[2].strip()

    return tool


CLS = f"_base_ = '{ROOT}/configs/digits/cls_smt_pico.py'\n"
MOVED = """
train_dataloader = dict(dataset=dict(data_prefix='pets/train'))
val_dataloader = dict(dataset=dict(data_prefix='pets/val'))
"""


def test_takes_the_configs_own_data(run: Run, home: Path) -> None:
    status, says = run(home, CLS)
    assert status == 0 and says.startswith('loss ')
    assert says.endswith("on the config's own data, data/digits/cls/train")


def test_takes_the_digits_where_these_are_missing(run: Run, home: Path) -> None:
    status, says = run(home, CLS + MOVED)
    assert status == 0
    assert says.endswith('on the digits in data/digits; pets/train is missing')


def test_takes_the_digits_if_asked(run: Run, home: Path) -> None:
    assert run(home, CLS, '--data', 'data/digits')[1].endswith('on the digits in data/digits')


def test_says_what_to_do_without_any_data(run: Run, tmp_path: Path) -> None:
    status, says = run(tmp_path, CLS + MOVED)
    missing = 'data/digits: no such folder; pets/train is missing'
    assert (status, says) == (1, f'FAILED: {missing}: run `mmsmt prepare digits`')


def test_own_data_that_are_incomplete_are_named(run: Run, home: Path) -> None:
    status, says = run(home, CLS + "val_dataloader = dict(dataset=dict(data_prefix='pets/val'))")
    assert status == 1
    assert says.startswith('FAILED: ') and 'pets/val' in says

"""mmsmt check config: one line a finding, exit 0 when clean, 1 with findings, 2 on misuse."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools/misc/check_configs.py'
CLS = ROOT / 'configs/digits/cls_smt_pico.py'
Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """Run the tool in this process: exit status, lines on stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def tool(*arguments: object) -> tuple[int, list[str], str]:
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(TOOL), run_name='__main__')
        said = capsys.readouterr()
        return stop.value.code, said.out.splitlines(), said.err

    return tool


def test_clean(run: Run) -> None:
    assert run(CLS) == (0, [f'{CLS}: ok'], '')


def test_every_finding_of_every_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / 'a.py').write_text(f"_base_ = '{CLS}'\nmodel = dict(head=dict(topq=3))")
    (tmp_path / 'b.py').write_text("_base_ = ['x.py', 'y.py']")
    status, lines, err = run('.')
    assert (status, err) == (1, '')
    assert [line.partition(': ')[0] for line in lines] == ['a.py', 'b.py', 'b.py']
    wrong = "model.head.topq: LinearClsHead has no argument 'topq'; did you mean 'topk'?"
    assert lines[0] == f'a.py: {wrong}'


def test_a_note_is_no_fault(run: Run) -> None:
    config = ROOT / 'configs/digits/retinanet_smt_pico.py'
    status, lines, _ = run(config)
    assert status == 0
    assert lines[0].startswith('note: ') and lines[1:] == [f'{config}: ok']


def test_gpus(run: Run) -> None:
    assert run(CLS, '--gpus', 1)[0] == 0
    status, lines, _ = run(CLS, '--gpus', 2)
    assert status == 1 and 'lr 0.001 would be 0.002' in lines[0]


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['nowhere.py'], 'nowhere.py: no such file or folder'),
        (['.'], 'no configs (*.py) in it'),
        ([CLS, '--gpus', '0'], 'must be at least 1'),
        ([CLS, '--max-levels', '-1'], 'must be at least 1'),
        ([], 'required: paths'),
    ],
)
def test_wrong_usage(run: Run, arguments: list, says: str) -> None:
    status, lines, err = run(*arguments)
    assert (status, lines) == (2, [])
    assert says in err and 'error: ' in err


def test_in_a_process(tmp_path: Path) -> None:
    (tmp_path / 'a.py').write_text('model = 3')
    command = [sys.executable, TOOL, 'a.py']
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stdout == (
        'a.py: model: is not a dictionary with a model; define one, or move the file to a folder '
        '`_base_`\n'
    )

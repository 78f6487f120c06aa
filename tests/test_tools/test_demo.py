"""The demo's own logic; what it trains is tested by configs and tools."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location('demo', ROOT / 'tools/demo.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules['demo'] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_failing_step_shows_its_output_and_stops(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit, match='error: no such thing(.|\n)*step failed'):
        demo.run_step('step', ['-c', 'raise SystemExit("error: no such thing")'], tmp_path / 'log')
    assert 'error: no such thing' in (tmp_path / 'log').read_text()


def test_progress_is_shown(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = 'INFO - Epoch(train)  [2][ 40/163]  lr: 1e-3  eta: 0:01:11  time: 0.2'
    monkeypatch.setattr(demo, 'PROGRESS_INTERVAL', 0)
    demo.run_step('step', ['-c', f'print({line!r})'], tmp_path / 'log')
    assert 'train [2][ 40/163]  0:01:11 left' in capsys.readouterr().out


def record(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace the running of tools by a record of their arguments."""
    calls: list[list[str]] = []

    def run_step(name: str, arguments: list[str], log: Path) -> float:
        calls.append(arguments)
        return 1.0

    monkeypatch.setattr(demo, 'run_step', run_step)
    return calls


def test_an_interrupted_training_is_resumed_and_a_finished_one_kept(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(demo, monkeypatch)
    task, log = demo.TASKS[1], tmp_path / 'log'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    demo.train(task, tmp_path, log, ['a=b'])
    assert '--resume' in calls[0] and calls[0][-2:] == ['--cfg-options', 'a=b']
    demo.train(task, tmp_path, log, ['a=b'])
    assert len(calls) == 1


def test_evaluation_reports_what_the_evaluator_wrote(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(demo, monkeypatch)
    checkpoint = tmp_path / 'epoch_2.pth'
    (tmp_path / 'last_checkpoint').write_text(str(checkpoint))
    written = tmp_path / 'test' / 'now' / 'now.json'
    written.parent.mkdir(parents=True)
    written.write_text(json.dumps({'mIoU': 61.5}))
    assert demo.evaluate(demo.TASKS[2], tmp_path, tmp_path / 'log')['mIoU'] == 61.5
    assert str(checkpoint) in calls[0]
    assert demo.evaluate(demo.TASKS[2], tmp_path, tmp_path / 'log')['mIoU'] == 61.5
    assert len(calls) == 1


def test_the_picture_has_rows_of_all_tasks(demo: ModuleType, tmp_path: Path) -> None:
    folders = {task.method: tmp_path / f'{task.method}_smt_pico' for task in demo.TASKS}
    for folder in folders.values():
        (folder / 'pictures').mkdir(parents=True)
        for i in range(4):
            prefix = 'test_' if folder.name.startswith('upernet') else ''
            Image.new('RGB', (32, 32), 'red').save(folder / 'pictures' / f'{prefix}{i:06}.png')
        log = folder / 'now' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text('{"loss": 1.0, "step": 1}\n{"loss": 0.5, "step": 2}\n')
    demo.picture(tmp_path, folders)
    with Image.open(tmp_path / 'demo.png') as picture:
        assert picture.height > 300


def test_a_backbone_without_digits_configs_is_refused(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(demo, monkeypatch)
    arguments = ['demo.py', '--out', str(tmp_path / 'out'), '--backbone', 'smt_picco']
    monkeypatch.setattr(sys, 'argv', arguments)
    with pytest.raises(SystemExit, match=r'smt_picco: no configs/digits/cls_smt_picco\.py'):
        demo.main()
    assert not calls and not (tmp_path / 'out').exists()

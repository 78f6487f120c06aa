"""The demo's own logic; what it trains is tested by configs and tools."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location('demo', ROOT / 'tools/misc/demo.py')
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules['demo'] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


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
    calls: list[str] = []
    monkeypatch.setattr(demo, 'run_step', calls.append)
    monkeypatch.chdir(ROOT)
    arguments = ['demo.py', '--out', str(tmp_path / 'out'), '--backbone', 'smt_picco']
    monkeypatch.setattr(sys, 'argv', arguments)
    with pytest.raises(SystemExit, match=r'smt_picco: no configs/digits/cls_smt_picco\.py'):
        demo.main()
    assert not calls and not (tmp_path / 'out').exists()

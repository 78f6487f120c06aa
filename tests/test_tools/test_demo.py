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
        pictures = folder / 'predicted/pictures'
        pictures.mkdir(parents=True)
        for i in range(2):
            Image.new('RGB', (32, 32), 'red').save(pictures / f'{i:06}.jpg')
        log = folder / 'now' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text('{"loss": 1.0, "step": 1}\n{"loss": 0.5, "step": 2}\n')
    demo.draw(tmp_path, folders)
    with Image.open(tmp_path / 'demo.png') as picture:
        # Three rows of two square pictures that fill the width.
        assert picture.height > 3 * 580
        assert all(
            picture.getpixel((x, 300 + 600 * y))[0] > 200 for x in (300, 900) for y in (0, 1, 2)
        )
    assert (tmp_path / 'curves.png').is_file()


def test_images_to_predict(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('MMSMT_DATA', str(tmp_path))
    for kind in demo.SHOWN_DIGITS:
        (tmp_path / 'digits/cls/val' / kind).mkdir(parents=True)
        Image.new('RGB', (64, 64)).save(tmp_path / f'digits/cls/val/{kind}/0001.png')
    (tmp_path / 'digits/scenes/images/val').mkdir(parents=True)
    for i in range(3):
        Image.new('RGB', (256, 192)).save(tmp_path / f'digits/scenes/images/val/{i:06}.jpg')
    chosen = demo.choose_images(tmp_path / 'out')
    assert len(list(chosen['cls'].iterdir())) == len(demo.SHOWN_DIGITS)
    assert {file.name for file in chosen['upernet'].iterdir()} == {'000000.png', '000001.png'}
    with Image.open(chosen['mask_rcnn'] / '000000.png') as scene:
        assert scene.size == (512, 384)


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

"""mmsmt check data on trees in the official layouts, with the shipped configs."""

import importlib
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """Run the tool on a shipped config and data in `tmp_path`: exit status, lines, stderr."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('MMSMT_TRACEBACK', raising=False)
    monkeypatch.setattr('logging.disable', lambda level: None)  # would outlive the test

    def tool(name: str, *arguments: str) -> tuple[int, list[str], str]:
        path = ROOT / 'tools/misc/check_data.py'
        config = str(ROOT / 'configs' / f'{name}.py')
        monkeypatch.setattr(
            sys, 'argv', [path.name, config, '--data-root', str(tmp_path), *arguments]
        )
        status = 0
        try:
            runpy.run_path(str(path), run_name='__main__')
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        lines = [line for line in said.out.splitlines() if line.startswith(('error', 'warn', 'no'))]
        return status, lines, said.out.splitlines()[-1] if said.out else said.err

    return tool


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (64, 48)).save(path)


def write_coco(root: Path) -> None:
    """Three images a split, the 80 names as mmdet has them, ids with gaps as in COCO 2017."""
    names = importlib.import_module('mmdet.datasets').CocoDataset.METAINFO['classes']
    categories = [dict(id=i + 1 + i // 8, name=name) for i, name in enumerate(names)]
    for split in ('train2017', 'val2017'):
        images, annotations = [], []
        for number in range(3):
            name = f'{number:012}.jpg'
            write_image(root / split / name)
            images.append(dict(id=number, file_name=name, width=64, height=48))
            annotations.append(
                dict(
                    id=number + 1,
                    image_id=number,
                    category_id=categories[number]['id'],
                    bbox=[4, 4, 20, 20],
                    area=400,
                    iscrowd=0,
                    segmentation=[[4, 4, 24, 4, 24, 24, 4, 24]],
                )
            )
        content = dict(images=images, annotations=annotations, categories=categories)
        (root / 'annotations').mkdir(exist_ok=True)
        (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(content))


def write_ade(root: Path) -> None:
    """Two images a split; values 0 (other objects) to 150."""
    for split, prefix in (('training', 'ADE_train'), ('validation', 'ADE_val')):
        for number in range(1, 3):
            name = f'{prefix}_{number:08}'
            write_image(root / 'images' / split / f'{name}.jpg')
            labels = (np.arange(48 * 64) % 151).astype(np.uint8).reshape(48, 64)
            (root / 'annotations' / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(labels).save(root / 'annotations' / split / f'{name}.png')


def write_imagenet(root: Path) -> None:
    """A thousand class folders for training, a flat folder and a list for validation."""
    write_image(root / 'val' / 'ILSVRC2012_val_00000001.JPEG')
    picture = (root / 'val' / 'ILSVRC2012_val_00000001.JPEG').read_bytes()
    for number in range(1000):
        folder = root / 'train' / f'n{number:08}'
        folder.mkdir(parents=True)
        (folder / f'n{number:08}_1.JPEG').write_bytes(picture)
    (root / 'meta').mkdir()
    (root / 'meta' / 'val.txt').write_text('ILSVRC2012_val_00000001.JPEG 65\n')


def test_coco(run: Run, tmp_path: Path) -> None:
    write_coco(tmp_path / 'coco')
    status, lines, last = run('det/mask_rcnn_smt_s_3x', '--full')
    assert status == 0, lines
    assert last == '0 errors, 0 warnings; opened every image'
    assert f'note: {tmp_path}/coco/train2017/: 3 images, none missing' in lines
    (tmp_path / 'coco/val2017').rename(tmp_path / 'val2017')
    status, lines, last = run('det/mask_rcnn_smt_s_3x')
    assert status == 1
    says = f'no such folder; found {tmp_path}/val2017: move or link it there'
    assert [line for line in lines if line.startswith('error')] == [
        f'error: {tmp_path}/coco/val2017/: {says}'
    ]
    assert last.startswith('1 error, 0 warnings; opened a sample')


def test_ade20k(run: Run, tmp_path: Path) -> None:
    root = tmp_path / 'ade/ADEChallengeData2016'
    write_ade(root)
    status, lines, _ = run('seg/upernet_smt_s_160k_ade20k', '--full')
    assert status == 0, lines
    assert f'note: {root}/annotations/validation: 2 label images, none missing' in lines
    (root / 'annotations/training/ADE_train_00000002.png').unlink()
    status, lines, _ = run('seg/upernet_smt_s_160k_ade20k')
    assert status == 1
    assert [line for line in lines if '1 of 2 label images missing: ADE_train_00000002.png' in line]


def test_imagenet(run: Run, tmp_path: Path) -> None:
    write_imagenet(tmp_path / 'imagenet')
    status, lines, _ = run('cls/smt_s_in1k')
    assert status == 0, lines
    assert f'note: {tmp_path}/imagenet/train: 1,000 images' in lines
    (tmp_path / 'imagenet/meta/val.txt').unlink()
    status, lines, _ = run('cls/smt_s_in1k')
    assert status == 1
    errors = [line for line in lines if line.startswith('error')]
    assert len(errors) == 1
    assert f'{tmp_path}/imagenet/val: no class folders, but 1 image' in errors[0]
    assert f'flat, with lines NAME LABEL in {tmp_path}/imagenet/meta/val.txt' in errors[0]


def test_bad_arguments_end_in_one_line(run: Run, tmp_path: Path) -> None:
    status, lines, err = run('cls/nothing')
    assert (status, lines) == (1, [])
    assert err.splitlines()[-1].endswith('configs/cls/nothing.py: no such config file')
    assert 'Traceback' not in err
    status, lines, err = run('cls/smt_s_in1k', '--data-root', f'{tmp_path}/none')
    assert (status, lines) == (1, [])
    assert err.splitlines()[-1] == f'error: --data-root: {tmp_path}/none: no such folder'

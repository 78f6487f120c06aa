"""Every kind of damage to image folders is named, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmpretrain import datasets
from PIL import Image

from mmsmt.checks.data.images import SAMPLE

Named = Callable[..., None]
Found = Callable[..., dict[str, list[str]]]
Damage = Callable[[Path], object]


def write_image(path: Path, size: tuple[int, int] = (20, 10), mode: str = 'RGB') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


def folders(root: Path, **dataset: Any) -> Config:
    """A classifier of two classes, its splits written to `root`."""
    loaders = {}
    for split in ('train', 'val'):
        for name in ('cat', 'dog'):
            for number in range(2):
                write_image(root / split / name / f'{number}.jpg')
        entry = dict(type='CustomDataset', data_root=str(root), data_prefix=split) | dataset
        loaders[f'{split}_dataloader'] = dict(dataset=entry)
    model = dict(head=dict(num_classes=2))
    return Config(dict(default_scope='mmpretrain', model=model, **loaders))


def flatten(root: Path) -> None:
    for path in list((root / 'val').glob('*/*')):
        path.rename(root / 'val' / f'{path.parent.name}_{path.name}')
    for name in ('cat', 'dog'):
        (root / 'val' / name).rmdir()


def truncate(path: Path) -> None:
    write_image(path, (200, 200))
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize(
    ('damage', 'level', 'says'),
    [
        (
            lambda r: (r / 'val' / 'dog').rename(r / 'val' / 'dogs'),
            'error',
            'without dog, with dogs; labels are indices of the classes',
        ),
        (flatten, 'error', 'no class folders, but 4 images; expected here: CLASS/NAME.jpg'),
        (
            lambda r: [path.unlink() for path in (r / 'val' / 'cat').iterdir()],
            'error',
            '1 class folder without images: cat',
        ),
        (
            lambda r: write_image(r / 'val' / 'x.jpg'),
            'warning',
            '1 image in no class folder: x.jpg',
        ),
        (lambda r: truncate(r / 'val' / 'cat' / '1.jpg'), 'error', 'cat/1.jpg: is truncated'),
        (
            lambda r: (r / 'val' / 'cat' / '1.jpg').write_bytes(b'<html>'),
            'error',
            'cat/1.jpg: cannot be read as an image',
        ),
        (
            lambda r: write_image(r / 'val' / 'cat' / '1.jpg', (1, 1)),
            'warning',
            '1 image of 1x1 pixels: cat/1.jpg',
        ),
        (
            lambda r: write_image(r / 'val' / 'cat' / '1.jpg', mode='CMYK'),
            'warning',
            '1 image in mode CMYK',
        ),
        (lambda r: write_image(r / 'val' / 'cat' / '2.png', mode='P'), 'warning', 'in mode P'),
        (lambda r: write_image(r / 'val' / 'cat' / '2.png', mode='I;16'), 'warning', 'mode I;16'),
    ],
)
def test_damage_of_image_folders(
    tmp_path: Path, damage: Damage, level: str, says: str, assert_named: Named
) -> None:
    cfg = folders(tmp_path)
    damage(tmp_path)
    assert_named(cfg, level, says)


def test_images_are_found_as_the_host_finds_them(tmp_path: Path, found: Found) -> None:
    cfg = folders(tmp_path)
    for name in ('a.JPEG', 'b.PNG', 'deep/er/c.jpg', '.hidden.jpg'):
        write_image(tmp_path / 'train/cat' / 'x.png')
        (tmp_path / 'train/cat' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'train/cat/x.png').rename(tmp_path / 'train/cat' / name)
    (tmp_path / 'train/cat/notes.txt').write_text('x')
    host = datasets.CustomDataset(data_root=str(tmp_path), data_prefix='train')
    assert f'note: {tmp_path}/train: {len(host)} images' in found(cfg)['note']
    assert len(host) == 4 + 3


def test_number_of_folders_against_the_head(tmp_path: Path, found: Found) -> None:
    cfg = folders(tmp_path)
    cfg.model.head.num_classes = 3
    lines = found(cfg)['error']
    assert len(lines) == 2
    assert f'model.head.num_classes: is 3, but {tmp_path}/train (class folders) has 2' in lines[0]


def test_a_hidden_folder_counts_as_a_class(tmp_path: Path, found: Found) -> None:
    cfg = folders(tmp_path)
    write_image(tmp_path / 'train' / '.checkpoints' / 'x.jpg')
    assert any('hidden folders .checkpoints count as' in line for line in found(cfg)['error'])


@pytest.mark.parametrize(
    ('lines', 'level', 'says'),
    [
        ('cat/0.jpg 0\ncat/9.jpg 1\n', 'error', '1 of 2 images missing: cat/9.jpg'),
        (
            'cat/0.jpg 1\ndog/0.jpg 2\n',
            'error',
            'labels go from 1 to 2; the labels of 2 classes are 0 to 1',
        ),
        ('cat/0.jpg 0\ndog/0.jpg dog\n', 'error', 'not of the form NAME LABEL: lines 2'),
        ('cat/0.jpg 0\ncat/1.jpg 0\n', 'warning', '1 of 2 classes have no images: labels 1'),
        ('cat/0.jpg 0\ndog/0.jpg 1\n', 'note', 'train: 2 images'),
    ],
)
def test_lists_of_names_and_labels(
    tmp_path: Path, lines: str, level: str, says: str, assert_named: Named, found: Found
) -> None:
    cfg = folders(tmp_path)
    cfg.train_dataloader.dataset.ann_file = 'train.txt'
    (tmp_path / 'train.txt').write_text(lines)
    if level == 'note':
        by_level = found(cfg)
        assert by_level['error'] == by_level['warning'] == []
        assert any(says in line for line in by_level['note'])
    else:
        assert_named(cfg, level, says)


def test_full_opens_every_image(tmp_path: Path, found: Found) -> None:
    cfg = folders(tmp_path)
    for number in range(2, SAMPLE + 20):
        write_image(tmp_path / 'train' / 'cat' / f'{number:03}.jpg')
    paths = sorted((tmp_path / 'train' / 'cat').iterdir())
    for path in paths:
        path.write_bytes(b'x')
    assert len(found(cfg, full=True)['error']) == len(paths)
    assert 0 < len(found(cfg)['error']) <= SAMPLE < len(paths)


def test_other_data_sets_are_checked_for_their_places(tmp_path: Path, found: Found) -> None:
    cfg = folders(tmp_path)
    cfg.train_dataloader.dataset = dict(
        type='CIFAR10', data_root=str(tmp_path), data_prefix='cifar', test_mode=False
    )
    lines = found(cfg)
    assert lines['error'] == [
        f'error: {tmp_path}/cifar: no such folder; {tmp_path} holds train, val'
    ]
    assert 'contents of CIFAR10 are not checked' in lines['warning'][0]

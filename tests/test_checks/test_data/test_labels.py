"""Every kind of damage to label images is named, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmseg import datasets
from PIL import Image

from mmsmt.checks.data.labels import look_at_labels

WIDTH, HEIGHT = 20, 10
Named = Callable[..., None]
Found = Callable[..., dict[str, list[str]]]
Damage = Callable[[Path], object]


def ade(root: Path, **dataset: Any) -> Config:
    """A segmenter of three classes, its data written to `root`."""
    for number in range(3):
        (root / 'images').mkdir(exist_ok=True)
        Image.new('RGB', (WIDTH, HEIGHT)).save(root / 'images' / f'{number}.jpg')
        labels = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % 4
        (root / 'labels').mkdir(exist_ok=True)
        Image.fromarray(labels.astype(np.uint8)).save(root / 'labels' / f'{number}.png')
    entry = dict(
        type='BaseSegDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=('a', 'b', 'c')),
        reduce_zero_label=True,
    )
    loader = dict(dataset=entry | dataset)
    model = dict(decode_head=dict(num_classes=3))
    return Config(dict(default_scope='mmseg', model=model, train_dataloader=loader))


def relabel(value: int, mode: str = 'L') -> Damage:
    """Give all pixels of a label image one value."""
    return lambda r: Image.new(mode, (WIDTH, HEIGHT), value).save(r / 'labels' / '1.png')


@pytest.mark.parametrize(
    ('damage', 'says'),
    [
        (lambda r: (r / 'labels' / '1.png').unlink(), '1 of 3 label images missing: 1.png'),
        (lambda r: (r / 'labels' / '1.png').write_bytes(b''), '1.png: is empty'),
        (
            lambda r: Image.new('L', (HEIGHT, WIDTH)).save(r / 'labels' / '1.png'),
            'is 10x20 pixels, its image',
        ),
        (
            lambda r: Image.new('RGB', (WIDTH, HEIGHT)).save(r / 'labels' / '1.png'),
            '1.png: has 3 channels',
        ),
        (
            relabel(4),
            'values 4 are not classes, in 1 file: 1.png; with reduce_zero_label=True classes are',
        ),
        (relabel(254), 'values 254 are not classes'),
        (relabel(257, 'I;16'), 'values 257 are not classes'),  # 1 in the host's 8 bits
    ],
)
def test_damage_of_segmentation_data(
    tmp_path: Path, damage: Damage, says: str, assert_named: Named
) -> None:
    cfg = ade(tmp_path)
    damage(tmp_path)
    assert_named(cfg, 'error', says)


@pytest.mark.parametrize('value', [0, 1, 3, 255])
def test_values_that_are_right(tmp_path: Path, value: int, found: Found) -> None:
    cfg = ade(tmp_path)
    relabel(value)(tmp_path)
    assert found(cfg)['error'] == []


def test_values_without_reducing_zero(tmp_path: Path, assert_named: Named, found: Found) -> None:
    cfg = ade(tmp_path, reduce_zero_label=False)
    assert_named(cfg, 'error', 'values 3 are not classes, in 3 files', 'the 3 classes are 0 to')
    relabels = [
        Image.new('L', (WIDTH, HEIGHT), 255).save(p) for p in (tmp_path / 'labels').iterdir()
    ]
    assert len(relabels) == 3 and found(cfg)['error'] == []


def test_one_value_more_may_mean_unlabelled(
    tmp_path: Path, assert_named: Named, found: Found
) -> None:
    cfg = ade(tmp_path, reduce_zero_label=False)
    for text in ('ignore_index=3 in model.decode_head', 'seg_pad_val=3 in data_preprocessor'):
        assert_named(cfg, 'error', 'if 3 means unlabelled, set ', text)
    cfg.model.decode_head.ignore_index = 3
    assert found(cfg)['error'] == []


def test_one_value_more_where_0_means_unlabelled(tmp_path: Path, assert_named: Named) -> None:
    cfg = ade(tmp_path)
    relabel(4)(tmp_path)
    assert_named(cfg, 'error', 'if 4 means unlabelled, write 0 in the files')


@pytest.mark.parametrize('reduce_zero_label', [True, False])
@pytest.mark.parametrize('classes', [('wall', 'building', 'sky'), ('sky', 'wall'), None])
def test_values_become_classes_by_the_hosts_rules(
    tmp_path: Path, reduce_zero_label: bool, classes: tuple[str, ...] | None
) -> None:
    dataset = datasets.ADE20KDataset(
        metainfo=dict(classes=classes) if classes else None,
        reduce_zero_label=reduce_zero_label,
        lazy_init=True,
    )
    path = tmp_path / 'all.png'
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
    results = dict(
        seg_map_path=str(path),
        reduce_zero_label=reduce_zero_label,
        label_map=dataset.label_map,
        seg_fields=[],
    )
    number = len(dataset.metainfo['classes'])
    read = datasets.transforms.LoadAnnotations().transform(results)['gt_seg_map'].ravel()
    expected = [value for value in range(256) if read[value] >= number and read[value] != 255]
    seen = look_at_labels((str(path), str(path)), dataset, number)
    assert list(seen.strange) == expected
    assert len(expected) > 50


def test_suffixes_that_find_nothing(tmp_path: Path, found: Found) -> None:
    cfg = ade(tmp_path, img_suffix='.jpeg')
    lines = found(cfg)['error']
    assert any(
        'no image found: it has files with the suffixes .jpg; see img_suffix' in t for t in lines
    )


def test_a_list_of_names(tmp_path: Path, found: Found) -> None:
    cfg = ade(tmp_path, ann_file='names.txt')
    (tmp_path / 'names.txt').write_text('0\n2\n7\n')
    lines = found(cfg)['error']
    assert [line for line in lines if '1 of 3 images missing: 7.jpg' in line]
    assert [line for line in lines if '1 of 3 label images missing: 7.png' in line]

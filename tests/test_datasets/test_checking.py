"""Good data pass; every kind of damage is named, and nothing else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmsmt.datasets.checking import Finding, Opener, check_data
from mmsmt.datasets.checking.labels import look_at_labels
from mmsmt.datasets.checking.pictures import SAMPLE
from mmsmt.engine.data_root import move_data

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
WIDTH, HEIGHT = 20, 10
Damage = Callable[[Path], object]


def found(cfg: Config, full: bool = False) -> dict[str, list[str]]:
    """Lines by level."""
    lines: dict[str, list[str]] = {'error': [], 'warning': [], 'note': []}
    for finding in check_data(cfg, Opener(full)):
        lines[finding.level].append(str(finding))
        assert '\n' not in str(finding)
    return lines


def assert_named(cfg: Config, level: str, *says: str) -> None:
    """One line of that level has all the texts, and nothing else is wrong."""
    lines = found(cfg)
    wrong = lines['error'] + lines['warning']
    assert len(wrong) == 1, wrong
    assert wrong[0].startswith(f'{level}: '), wrong
    for text in says:
        assert text in wrong[0]


def write_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), mode: str = 'RGB') -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)


@pytest.mark.parametrize('name', ['cls_smt_pico', 'mask_rcnn_smt_pico', 'upernet_smt_pico'])
def test_prepared_digits_pass(prepared: Path, name: str) -> None:
    cfg = move_data(Config.fromfile(CONFIGS / 'digits' / f'{name}.py'), prepared.parent)
    lines = found(cfg, full=name != 'cls_smt_pico')
    assert lines['error'] == lines['warning'] == []
    assert len(lines['note']) >= 2


# COCO --------------------------------------------------------------------------------------------


def coco(root: Path, **dataset: Any) -> Config:
    """A detector of cats and dogs, its two splits written to `root`."""
    loaders: dict[str, Any] = {}
    for split in ('train', 'val'):
        annotations = []
        for number in range(4):
            write_image(root / split / f'{number}.png')
            annotations.append(
                dict(
                    id=number,
                    image_id=number,
                    category_id=number % 2 + 5,
                    bbox=[2, 2, 10, 5],
                    area=50,
                    segmentation=[[2, 2, 12, 2, 12, 7]],
                )
            )
        images = [dict(id=i, file_name=f'{i}.png', width=WIDTH, height=HEIGHT) for i in range(4)]
        categories = [dict(id=5, name='cat'), dict(id=6, name='dog')]
        content = dict(images=images, annotations=annotations, categories=categories)
        (root / f'{split}.json').write_text(json.dumps(content))
        loaders[f'{split}_dataloader'] = dict(
            dataset=dict(
                type='CocoDataset',
                data_root=str(root),
                ann_file=f'{split}.json',
                data_prefix=dict(img=split),
                metainfo=dict(classes=('cat', 'dog')),
                pipeline=[dict(type='LoadAnnotations', with_mask=True)],
            )
            | dataset
        )
    evaluator = dict(type='CocoMetric', ann_file=f'{root}/val.json')
    model = dict(rpn_head=dict(num_classes=1), bbox_head=[dict(num_classes=2)])
    return Config(dict(default_scope='mmdet', model=model, val_evaluator=evaluator, **loaders))


def change(edit: Callable[[dict[str, Any]], object], split: str = 'train') -> Damage:
    """Damage an annotation file."""

    def damage(root: Path) -> None:
        content = json.loads((root / f'{split}.json').read_text())
        edit(content)
        (root / f'{split}.json').write_text(json.dumps(content))

    return damage


def many(**values: object) -> Damage:
    """Damage every annotation."""
    return change(lambda c: [a.update(values) for a in c['annotations']])


def two_hundred(**values: object) -> Damage:
    """Damage one of two hundred annotations."""

    def edit(content: dict[str, Any]) -> None:
        content['annotations'] = [{**content['annotations'][0], 'id': i} for i in range(200)]
        content['annotations'] += [{**content['annotations'][0], 'id': 777, **values}]

    return change(edit)


@pytest.mark.parametrize(
    ('damage', 'level', 'says'),
    [
        (lambda r: (r / 'train.json').write_text('{"images": ['), 'error', 'is no JSON'),
        (lambda r: (r / 'train.json').write_text('[]'), 'error', 'holds a list'),
        (lambda r: (r / 'train.json').write_text(''), 'error', 'train.json: is empty'),
        (change(lambda c: c.pop('categories')), 'error', 'has no list `categories`'),
        (change(lambda c: c['images'][1].pop('width')), 'error', '1 of 4 records in `images`'),
        (many(bbox=[0.1, 0.1, 0.5, 0.5]), 'error', 'not in shares of the image'),
        (many(bbox=[15, 5, 19, 9]), 'error', 'not two corners'),
        (many(bbox=[2, 2, 10]), 'error', '4 of 4 boxes not of four numbers'),
        (many(bbox=[2, 2, 'a', 5]), 'error', 'not of four numbers'),
        (two_hundred(bbox=[2, 2, 0.5, 5]), 'warning', '1 of 201 boxes under a pixel in size'),
        (two_hundred(area=0), 'warning', '1 of 201 boxes under a pixel in size'),
        (two_hundred(bbox=[40, 2, 5, 5]), 'warning', 'outside the image: annotations 777'),
        (two_hundred(bbox=[15, 2, 7, 5]), 'warning', '1 of 201 boxes reach beyond the image'),
        (two_hundred(segmentation=[]), 'warning', '1 of 201 annotations without `segmentation`'),
        (many(segmentation=[]), 'error', 'the pipeline asks for masks'),
        (
            change(lambda c: c['annotations'][0].update(category_id=1)),
            'error',
            '1 annotation with unknown category_id: 1',
        ),
        (
            change(lambda c: c['annotations'][0].update(image_id=99)),
            'error',
            '1 annotation with unknown image_id: 99',
        ),
        (
            change(lambda c: c['annotations'][0].update(id=3)),
            'error',
            '1 id of `annotations` given twice: 3',
        ),
        (change(lambda c: c['annotations'].clear()), 'error', 'no annotation at all'),
        (lambda r: (r / 'train' / '2.png').unlink(), 'error', '1 of 4 images missing: 2.png'),
        (
            lambda r: (r / 'train' / '2.png').rename(r / 'train' / '2.PNG'),
            'error',
            'for 2.png there is 2.PNG',
        ),
        (
            lambda r: write_image(r / 'train' / '1.png', (HEIGHT, WIDTH)),
            'error',
            '1.png: is 10x20 pixels; the annotation file says 20x10',
        ),
        (
            change(lambda c: c['categories'].append(dict(id=7, name='cow'))),
            'warning',
            '1 of 3 categories are not among the classes: cow',
        ),
    ],
)
def test_damage_of_coco_data(tmp_path: Path, damage: Damage, level: str, says: str) -> None:
    cfg = coco(tmp_path)
    damage(tmp_path)
    assert_named(cfg, level, says)


def test_pictures_turned_by_exif_are_measured_as_the_host_reads_them(tmp_path: Path) -> None:
    mmcv = pytest.importorskip('mmcv')
    cfg = coco(tmp_path)
    for orientation, size in ((6, (HEIGHT, WIDTH)), (3, (WIDTH, HEIGHT))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / 'train' / '1.png'
        Image.new('RGB', size).save(path, format='JPEG', exif=exif)
        assert mmcv.imread(str(path)).shape[:2] == (HEIGHT, WIDTH)
        assert found(cfg)['error'] == []


def test_good_coco_data_pass_with_counts(tmp_path: Path) -> None:
    cfg = coco(tmp_path)
    change(lambda c: c['annotations'].pop())(tmp_path)
    lines = found(cfg)
    assert lines['error'] == lines['warning'] == []
    assert (
        f'note: {tmp_path}/train.json: 4 images, 3 annotations, 1 image without any'
        in (lines['note'])
    )
    assert f'note: {tmp_path}/train: 4 images, none missing' in lines['note']


def test_a_misspelt_class_is_named_with_the_nearest(tmp_path: Path) -> None:
    cfg = coco(tmp_path, metainfo=dict(classes=('cat', 'Doog')))
    lines = found(cfg)
    for split in ('train', 'val'):
        says = "has no category 'Doog', which metainfo.classes names; the nearest there is 'dog'"
        assert f'error: {tmp_path}/{split}.json: {says}' in lines['error']
    assert len(lines['error']) == 2


def test_class_names_of_the_data_sets_class_are_checked(tmp_path: Path) -> None:
    cfg = coco(tmp_path, metainfo=None)
    cfg.model.bbox_head[0].num_classes = 80
    lines = found(cfg)['error']
    assert len(lines) == 2
    assert 'lacks 78 of the 80 class names built into CocoDataset' in lines[0]
    assert "set metainfo=dict(classes=('cat', 'dog',))" in lines[0]


def test_one_class_without_a_comma(tmp_path: Path) -> None:
    cfg = coco(tmp_path, metainfo=dict(classes='cat'))
    assert (
        "metainfo.classes: is the text 'cat'; write ('cat',) with the comma"
        in (found(cfg)['error'][0])
    )


def test_order_of_classes(tmp_path: Path) -> None:
    cfg = coco(tmp_path)
    change(lambda c: c['categories'].reverse(), 'val')(tmp_path)
    lines = found(cfg)['error']
    assert any('other classes than in' in line and 'in another order' in line for line in lines)
    assert any('val.json: lists the classes in another order than the config' in t for t in lines)
    assert len(lines) == 2


def test_the_evaluator_reads_the_file_of_the_data_set(tmp_path: Path) -> None:
    cfg = coco(tmp_path)
    cfg.val_evaluator = [dict(type='CocoMetric', ann_file=f'{tmp_path}/./train.json')]
    assert_named(cfg, 'error', 'val_evaluator.ann_file: is', 'name the same file')
    cfg.val_evaluator[0].ann_file = f'{tmp_path}/./val.json'
    assert found(cfg)['error'] == []


def test_number_of_classes_against_heads(tmp_path: Path) -> None:
    cfg = coco(tmp_path)
    cfg.model.bbox_head[0].num_classes = 3
    lines = found(cfg)['error']
    assert (
        'error: model.bbox_head[0].num_classes: is 3, but the train data set has 2 classes'
        in (lines[0])
    )
    assert not [line for line in lines if 'rpn_head' in line]


@pytest.mark.parametrize('depth', [1, 2])
def test_wrapped_data_sets(tmp_path: Path, depth: int) -> None:
    cfg = coco(tmp_path)
    leaf = cfg.train_dataloader.dataset
    wrapped: dict[str, Any] = dict(type='RepeatDataset', times=2, dataset=leaf)
    if depth == 2:
        other = dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=leaf)
        wrapped = dict(type='ConcatDataset', datasets=[other, {**leaf, 'ann_file': 'lost.json'}])
    else:
        (tmp_path / 'train.json').unlink()
    cfg.train_dataloader = dict(dataset=wrapped)
    name = 'lost.json' if depth == 2 else 'train.json'
    assert_named(cfg, 'error', f'{tmp_path}/{name}: no such file')


def test_misplaced_folders_are_found(tmp_path: Path) -> None:
    cfg = coco(tmp_path)
    (tmp_path / 'images').mkdir()
    (tmp_path / 'train').rename(tmp_path / 'images' / 'train')
    lines = found(cfg)
    says = f'no such folder; there is {tmp_path}/images/train: move it, or link it there'
    assert lines['error'] == [f'error: {tmp_path}/train: {says}']
    assert any('expected here: images' in line for line in lines['note'])


def test_a_dangling_link_is_named(tmp_path: Path) -> None:
    cfg = coco(tmp_path)
    shutil.rmtree(tmp_path / 'train')
    os.symlink(tmp_path / 'gone', tmp_path / 'train')
    assert_named(cfg, 'error', f'is a link to {tmp_path}/gone, which is missing')


def test_data_sets_that_cannot_be_built(tmp_path: Path) -> None:
    cfg = coco(tmp_path)
    cfg.train_dataloader.dataset.type = 'CocoDatast'
    assert_named(cfg, 'error', 'train_dataloader.dataset: cannot be built', 'CocoDatast')


# Segmentation ------------------------------------------------------------------------------------


def ade(root: Path, **dataset: Any) -> Config:
    """A segmenter of three classes, its data written to `root`."""
    for number in range(3):
        write_image(root / 'images' / f'{number}.jpg')
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
            lambda r: write_image(r / 'labels' / '1.png', (HEIGHT, WIDTH), 'L'),
            'is 10x20 pixels, its image',
        ),
        (lambda r: write_image(r / 'labels' / '1.png'), '1.png: has 3 channels'),
        (relabel(4), 'values 4 stand for no class, in 1 file: 1.png; reduce_zero_label=True takes'),
        (relabel(254), 'values 254 stand for no class'),
        (relabel(257, 'I;16'), 'values 257 stand for no class'),  # 1 in the host's 8 bits
    ],
)
def test_damage_of_segmentation_data(tmp_path: Path, damage: Damage, says: str) -> None:
    cfg = ade(tmp_path)
    damage(tmp_path)
    assert_named(cfg, 'error', says)


@pytest.mark.parametrize('value', [0, 1, 3, 255])
def test_values_that_are_right(tmp_path: Path, value: int) -> None:
    cfg = ade(tmp_path)
    relabel(value)(tmp_path)
    assert found(cfg)['error'] == []


def test_values_without_reducing_zero(tmp_path: Path) -> None:
    cfg = ade(tmp_path, reduce_zero_label=False)
    assert_named(cfg, 'error', 'values 3 stand for no class, in 3 files', 'the 3 classes take 0 to')
    relabels = [
        Image.new('L', (WIDTH, HEIGHT), 255).save(p) for p in (tmp_path / 'labels').iterdir()
    ]
    assert len(relabels) == 3 and found(cfg)['error'] == []


@pytest.mark.parametrize('reduce_zero_label', [True, False])
@pytest.mark.parametrize('classes', [('wall', 'building', 'sky'), ('sky', 'wall'), None])
def test_values_become_classes_by_the_hosts_rules(
    tmp_path: Path, reduce_zero_label: bool, classes: tuple[str, ...] | None
) -> None:
    datasets = pytest.importorskip('mmseg.datasets')
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


def test_suffixes_that_find_nothing(tmp_path: Path) -> None:
    cfg = ade(tmp_path, img_suffix='.jpeg')
    lines = found(cfg)['error']
    assert any(
        'no image found: holds files of the suffixes .jpg; see img_suffix' in t for t in lines
    )


def test_a_list_of_names(tmp_path: Path) -> None:
    cfg = ade(tmp_path, ann_file='names.txt')
    (tmp_path / 'names.txt').write_text('0\n2\n7\n')
    lines = found(cfg)['error']
    assert [line for line in lines if '1 of 3 images missing: 7.jpg' in line]
    assert [line for line in lines if '1 of 3 label images missing: 7.png' in line]


# Image folders -----------------------------------------------------------------------------------


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
            'without dog, with dogs; labels count the classes in order',
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
            'cat/1.jpg: cannot be read as a picture',
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
def test_damage_of_image_folders(tmp_path: Path, damage: Damage, level: str, says: str) -> None:
    cfg = folders(tmp_path)
    damage(tmp_path)
    assert_named(cfg, level, says)


def test_images_are_found_as_the_host_finds_them(tmp_path: Path) -> None:
    datasets = pytest.importorskip('mmpretrain.datasets')
    cfg = folders(tmp_path)
    for name in ('a.JPEG', 'b.PNG', 'deep/er/c.jpg', '.hidden.jpg'):
        write_image(tmp_path / 'train/cat' / 'x.png')
        (tmp_path / 'train/cat' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'train/cat/x.png').rename(tmp_path / 'train/cat' / name)
    (tmp_path / 'train/cat/notes.txt').write_text('x')
    host = datasets.CustomDataset(data_root=str(tmp_path), data_prefix='train')
    assert f'note: {tmp_path}/train: {len(host)} images' in found(cfg)['note']
    assert len(host) == 4 + 3


def test_number_of_folders_against_the_head(tmp_path: Path) -> None:
    cfg = folders(tmp_path)
    cfg.model.head.num_classes = 3
    lines = found(cfg)['error']
    assert len(lines) == 2
    assert f'model.head.num_classes: is 3, but {tmp_path}/train (class folders) has 2' in lines[0]


def test_a_hidden_folder_counts_as_a_class(tmp_path: Path) -> None:
    cfg = folders(tmp_path)
    write_image(tmp_path / 'train' / '.checkpoints' / 'x.jpg')
    assert any('hidden folders .checkpoints count as' in line for line in found(cfg)['error'])


@pytest.mark.parametrize(
    ('lines', 'level', 'says'),
    [
        ('cat/0.jpg 0\ncat/9.jpg 1\n', 'error', '1 of 2 images missing: cat/9.jpg'),
        ('cat/0.jpg 1\ndog/0.jpg 2\n', 'error', 'labels go from 1 to 2; 2 classes take 0 to 1'),
        ('cat/0.jpg 0\ndog/0.jpg dog\n', 'error', 'not of the form NAME LABEL: lines 2'),
        ('cat/0.jpg 0\ncat/1.jpg 0\n', 'warning', '1 of 2 classes have no image: labels 1'),
        ('cat/0.jpg 0\ndog/0.jpg 1\n', 'note', 'train: 2 images'),
    ],
)
def test_lists_of_names_and_labels(tmp_path: Path, lines: str, level: str, says: str) -> None:
    cfg = folders(tmp_path)
    cfg.train_dataloader.dataset.ann_file = 'train.txt'
    (tmp_path / 'train.txt').write_text(lines)
    if level == 'note':
        by_level = found(cfg)
        assert by_level['error'] == by_level['warning'] == []
        assert any(says in line for line in by_level['note'])
    else:
        assert_named(cfg, level, says)


def test_full_opens_every_image(tmp_path: Path) -> None:
    cfg = folders(tmp_path)
    for number in range(2, SAMPLE + 20):
        write_image(tmp_path / 'train' / 'cat' / f'{number:03}.jpg')
    paths = sorted((tmp_path / 'train' / 'cat').iterdir())
    for path in paths:
        path.write_bytes(b'x')
    assert len(found(cfg, full=True)['error']) == len(paths)
    assert 0 < len(found(cfg)['error']) <= SAMPLE < len(paths)


def test_other_data_sets_are_checked_for_their_places(tmp_path: Path) -> None:
    cfg = folders(tmp_path)
    cfg.train_dataloader.dataset = dict(
        type='CIFAR10', data_root=str(tmp_path), data_prefix='cifar', test_mode=False
    )
    lines = found(cfg)
    assert lines['error'] == [
        f'error: {tmp_path}/cifar: no such folder; {tmp_path} holds train, val'
    ]
    assert 'contents of CIFAR10 not checked' in lines['warning'][0]


def test_a_config_without_data_is_named() -> None:
    cfg = Config(dict(model=dict(type='X')))
    assert list(check_data(cfg)) == [
        Finding('error', 'config', 'has no train_dataloader, val_dataloader, test_dataloader')
    ]

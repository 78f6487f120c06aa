"""Every kind of damage to data in COCO's format is named, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmcv
import pytest
from mmengine.config import Config
from PIL import Image

Coco = Callable[..., Config]
Named = Callable[..., None]
Found = Callable[..., dict[str, list[str]]]
Damage = Callable[[Path], object]


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
        (lambda r: (r / 'train.json').write_text('{"images": ['), 'error', 'not valid JSON'),
        (lambda r: (r / 'train.json').write_text('[]'), 'error', 'holds a list'),
        (lambda r: (r / 'train.json').write_text(''), 'error', 'train.json: is empty'),
        (change(lambda c: c.pop('categories')), 'error', 'has no list `categories`'),
        (change(lambda c: c['images'][1].pop('width')), 'error', '1 of 4 records in `images`'),
        (many(bbox=[0.1, 0.1, 0.5, 0.5]), 'error', 'not relative to the image'),
        (many(bbox=[15, 5, 19, 9]), 'error', 'not two corners'),
        (many(bbox=[2, 2, 10]), 'error', '4 of 4 boxes that are not four numbers'),
        (many(bbox=[2, 2, 'a', 5]), 'error', 'not four numbers'),
        (two_hundred(bbox=[2, 2, 0.5, 5]), 'warning', '1 of 201 boxes smaller than a pixel'),
        (two_hundred(area=0), 'warning', '1 of 201 boxes smaller than a pixel'),
        (two_hundred(bbox=[40, 2, 5, 5]), 'warning', 'outside the image: annotations 777'),
        (two_hundred(bbox=[15, 2, 7, 5]), 'warning', '1 of 201 boxes reach beyond the image'),
        (two_hundred(segmentation=[]), 'warning', '1 of 201 annotations without `segmentation`'),
        (many(segmentation=[]), 'error', 'the pipeline loads masks'),
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
            '1 id of `annotations` used twice: 3',
        ),
        (change(lambda c: c['annotations'].clear()), 'error', 'no annotations'),
        (lambda r: (r / 'train' / '2.png').unlink(), 'error', '1 of 4 images missing: 2.png'),
        (
            lambda r: (r / 'train' / '2.png').rename(r / 'train' / '2.PNG'),
            'error',
            '2.PNG exists instead of 2.png',
        ),
        (
            lambda r: Image.new('RGB', (10, 20)).save(r / 'train' / '1.png'),
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
def test_damage_of_coco_data(
    tmp_path: Path, damage: Damage, level: str, says: str, assert_named: Named, coco: Coco
) -> None:
    cfg = coco(tmp_path)
    damage(tmp_path)
    assert_named(cfg, level, says)


def test_pictures_turned_by_exif_are_measured_as_the_host_reads_them(
    tmp_path: Path, found: Found, coco: Coco
) -> None:
    cfg = coco(tmp_path)
    for orientation, size in ((6, (10, 20)), (3, (20, 10))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / 'train' / '1.png'
        Image.new('RGB', size).save(path, format='JPEG', exif=exif)
        assert mmcv.imread(str(path)).shape[:2] == (10, 20)
        assert found(cfg)['error'] == []


def test_good_coco_data_pass_with_counts(tmp_path: Path, found: Found, coco: Coco) -> None:
    cfg = coco(tmp_path)
    change(lambda c: c['annotations'].pop())(tmp_path)
    lines = found(cfg)
    assert lines['error'] == lines['warning'] == []
    assert (
        f'note: {tmp_path}/train.json: 4 images, 3 annotations, 1 image without annotations'
        in (lines['note'])
    )
    assert f'note: {tmp_path}/train: 4 images, none missing' in lines['note']


def test_a_misspelt_class_is_named_with_the_nearest(
    tmp_path: Path, found: Found, coco: Coco
) -> None:
    cfg = coco(tmp_path, metainfo=dict(classes=('cat', 'Doog')))
    lines = found(cfg)
    for split in ('train', 'val'):
        says = (
            "has no category 'Doog', which is in metainfo.classes; the nearest one there is 'dog'"
        )
        assert f'error: {tmp_path}/{split}.json: {says}' in lines['error']
    assert len(lines['error']) == 2


def test_class_names_of_the_data_sets_class_are_checked(
    tmp_path: Path, found: Found, coco: Coco
) -> None:
    cfg = coco(tmp_path, metainfo=None)
    cfg.model.bbox_head[0].num_classes = 80
    lines = found(cfg)['error']
    assert len(lines) == 2
    assert 'lacks 78 of the 80 class names built into CocoDataset' in lines[0]
    assert "set metainfo=dict(classes=('cat', 'dog',))" in lines[0]


def test_one_class_without_a_comma(tmp_path: Path, found: Found, coco: Coco) -> None:
    cfg = coco(tmp_path, metainfo=dict(classes='cat'))
    assert (
        "metainfo.classes: is the string 'cat'; write ('cat',) with the comma"
        in (found(cfg)['error'][0])
    )


def test_names_that_are_numbers(tmp_path: Path, found: Found, coco: Coco) -> None:
    """`--cfg-options metainfo.classes=[0,1]` turns them into integers."""
    lines = found(coco(tmp_path, metainfo=dict(classes=[0, 1])))['error']
    assert "error: metainfo.classes: holds 0, 1; write names as strings: '0'" in lines


def test_order_of_classes(tmp_path: Path, found: Found, coco: Coco) -> None:
    cfg = coco(tmp_path)
    change(lambda c: c['categories'].reverse(), 'val')(tmp_path)
    lines = found(cfg)['error']
    assert any('classes differ from' in line and 'in another order' in line for line in lines)
    assert any('val.json: has the classes in another order than the config' in t for t in lines)
    assert len(lines) == 2


def test_the_evaluator_reads_the_file_of_the_data_set(
    tmp_path: Path, assert_named: Named, found: Found, coco: Coco
) -> None:
    cfg = coco(tmp_path)
    cfg.val_evaluator = [dict(type='CocoMetric', ann_file=f'{tmp_path}/./train.json')]
    assert_named(cfg, 'error', 'val_evaluator.ann_file: is', 'use the same file')
    cfg.val_evaluator[0].ann_file = f'{tmp_path}/./val.json'
    assert found(cfg)['error'] == []


def test_number_of_classes_against_heads(tmp_path: Path, found: Found, coco: Coco) -> None:
    cfg = coco(tmp_path)
    cfg.model.bbox_head[0].num_classes = 3
    lines = found(cfg)['error']
    assert (
        'error: model.bbox_head[0].num_classes: is 3, but the train data set has 2 classes'
        in (lines[0])
    )
    assert not [line for line in lines if 'rpn_head' in line]

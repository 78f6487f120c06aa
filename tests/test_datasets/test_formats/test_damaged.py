"""Damaged data are named by file and line."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from own_data import (
    write_coco,
    write_folders,
    write_image,
    write_labels,
    write_text,
    write_voc,
    write_yolo,
)
from PIL import Image

from mmsmt.datasets.formats import recognise
from mmsmt.errors import UsageError


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return damage


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: write_text(root / name, text)


def remove(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def enlarge(name: str) -> Callable[[Path], None]:
    return lambda root: write_image(root / name, 0, (80, 50))


XML, LIST, TEXT = 'Annotations/train_1.xml', 'ImageSets/Main/train.txt', 'labels/train/train_1.txt'
VOC = [
    (remove('JPEGImages/train_1.jpg'), r'JPEGImages/train_1\.jpg: no such image'),
    (write('JPEGImages/train_1.jpg', 'no image'), r'train_1\.jpg: cannot be read as an image'),
    (remove(XML), rf'{LIST}:2: train_1 has no {XML}'),
    (replace(LIST, 'train_2', 'train_1'), rf'{LIST}:3: train_1 is already in train\.txt'),
    (replace('ImageSets/Main/val.txt', 'val_6', 'train_0'), r'val\.txt:1: .* in train\.txt'),
    (write('ImageSets/Main/val.txt', '\n'), r'val\.txt: the split val is empty'),
    (write('classes.txt', 'cat\nDog\n'), rf"{XML}:4: object of class 'dog', .*mean Dog\?"),
    (write('classes.txt', 'cat\ndog\ncat\n'), r'classes\.txt: 1 class named twice: cat'),
    (replace(XML, '<ymin>', '<ymin>x'), rf'{XML}:7: `bndbox` does not have the four numbers'),
    (replace(XML, '<name>dog</name>\n', ''), rf'{XML}:4: object without `name`'),
    (replace(XML, '</object>', ''), rf'{XML}:9: not valid XML \(mismatched tag'),
    (replace(XML, '<xmax>', '<xmax>9'), rf'{XML}:4: box \(.*\) reaches beyond 64x48'),
    (replace(XML, '<width>64', '<width>65'), rf'{XML}: says 65x48 pixels, .* has 64x48'),
    (enlarge('JPEGImages/train_1.jpg'), rf'{XML}: says 64x48 pixels, .* has 80x50'),
    (replace(XML, '<size><width>64', '<size><wide>64'), r'not valid XML'),
]
YOLO = [
    (write(TEXT, '1 0.5 0.5 0.2\n'), rf'{TEXT}:1: 4 values; a line is CLASS X Y WIDTH HEIGHT'),
    (write(TEXT, '0 .5 .5 .2 .2\n1 .5 .5 .2 .2 .1\n'), rf'{TEXT}:2: 6 values'),
    (write(TEXT, '\n2 0.5 0.5 0.2 0.2\n'), rf'{TEXT}:2: class 2, but the 2 are 0 to 1'),
    (write(TEXT, '1 a 0.5 0.2 0.2\n'), rf'{TEXT}:1: .* is not numbers'),
    (write(TEXT, '1 nan 0.5 0.2 0.2\n'), rf'{TEXT}:1: .* is not numbers'),
    (write(TEXT, '1 30 20 10 10\n'), rf'{TEXT}:1: .* is in pixels'),
    (write(TEXT, '1 0.9 0.5 0.4 0.2\n'), rf'{TEXT}:1: box .* reaches beyond 64x48'),
    (write(TEXT, '1 0.5 0.5 0 0.2\n'), rf'{TEXT}:1: box is 0 x 9.6 pixels'),
    (remove('images/train/train_1.png'), rf'{TEXT}: has no image in .*images/train'),
    (remove('data.yaml'), r'no data\.yaml with `names`, and no classes\.txt'),
    (write('data.yaml', 'nc: 3\nnames: [a, b]\n'), r'`nc` is 3, but `names` has 2'),
    (write('data.yaml', 'names: [a, a]\n'), r'data\.yaml: 1 class named twice: a'),
    (write('data.yaml', 'names: [a\nb: }'), r'data\.yaml: not valid YAML'),
    (write('data.yaml', 'names: {0: a, 2: b}'), r'`names` must count from 0'),
    (
        lambda root: (
            [p.unlink() for p in (root / 'images/val').iterdir()]
            + [p.unlink() for p in (root / 'labels/val').iterdir()]
        ),
        r'images/val: the split val is empty',
    ),
]
JSON = 'annotations/train.json'
COCO = [
    (replace(JSON, '{', ''), rf'{JSON}: not valid JSON \(.*line 1'),
    (replace(JSON, '"name": "cat"', '"name": "dog"'), rf'{JSON}: 1 class named twice: dog'),
    (replace(JSON, '"name": "cat"', '"name": "cow"'), r'val\.json: has classes cat, dog, but'),
    (replace(JSON, '"width"', '"breadth"'), rf'{JSON}: images\[0\] has no `width`'),
    (replace(JSON, '"image_id"', '"image"'), rf'{JSON}: annotations\[0\] has no `image_id`'),
    (
        lambda root: (root / 'images').rename(root / 'pixels'),
        r'its images, such as .* not in any of',
    ),
    (lambda root: (root / JSON).rename(root / 'annotations/val2.json'), r'2 annotation files for'),
    (
        write(JSON, json.dumps(dict(images=[], annotations=[], categories=[dict(id=1, name='a')]))),
        r'val\.json: has classes|the split train is empty',
    ),
]
FOLDERS = [
    (
        lambda root: (root / 'val/dog').rename(root / 'val/Dog'),
        r'val: no images of dog; all splits',
    ),
    (
        lambda root: [p.unlink() for p in (root / 'train/dog').iterdir()],
        r'train: no images of dog; all splits need the same classes',
    ),
    (
        lambda root: [p.unlink() for p in (root / 'val').rglob('*.jpg')],
        r'val: the split val is empty',
    ),
    (lambda root: (root / 'train').rename(root / 'test'), r'no train split, only'),
    (lambda root: (root / 'val').rename(root / 'training'), r'are both the split train'),
]
LABEL = 'labels/train/train_1.png'
LABELS = [
    (remove(LABEL), rf'images/train/train_1\.jpg: has no label image .*{LABEL}'),
    (remove('images/train/train_1.jpg'), rf'{LABEL}: has no image in .*images/train'),
    (enlarge('images/train/train_1.jpg'), rf'{LABEL}: is 64x48 pixels, its image .* 80x50'),
    (write(LABEL, 'no image'), rf'{LABEL}: cannot be read as an image'),
    (enlarge(LABEL), rf'{LABEL}: is in colours: define them in classes\.txt'),
    (
        lambda root: Image.new('L', (64, 48), 9).save(root / LABEL),
        rf'{LABEL}: has the values 9, which are not classes; the classes have the values 0 to 2',
    ),
    (write('classes.txt', 'cat\ncat\ndog\n'), r'classes\.txt: 1 class named twice: cat'),
    (write('classes.txt', 'cat 1 2\n'), r"classes\.txt:1: 'cat 1 2' is not NAME or NAME R G"),
    (write('images/train/more.png', ''), r'images with the suffixes \.jpg, \.png'),
]


def check(task: str, root: Path, damage: Callable[[Path], object], said: str) -> None:
    assert recognise(task, root)
    damage(root)
    before = sorted(root.rglob('*'))
    with pytest.raises(UsageError) as error:
        recognise(task, root)
    assert re.search(said, str(error.value)) and '\n' not in str(error.value), error.value
    assert sorted(root.rglob('*')) == before


@pytest.mark.parametrize('damage, said', VOC)
def test_voc(damage, said: str, tmp_path: Path) -> None:
    check('det', write_voc(tmp_path), damage, said)


@pytest.mark.parametrize('damage, said', YOLO)
def test_yolo(damage, said: str, tmp_path: Path) -> None:
    check('det', write_yolo(tmp_path), damage, said)


@pytest.mark.parametrize('damage, said', COCO)
def test_coco(damage, said: str, tmp_path: Path) -> None:
    check('det', write_coco(tmp_path), damage, said)


@pytest.mark.parametrize('damage, said', FOLDERS)
def test_folders(damage, said: str, tmp_path: Path) -> None:
    check('cls', write_folders(tmp_path), damage, said)


@pytest.mark.parametrize('damage, said', LABELS)
def test_labels(damage, said: str, tmp_path: Path) -> None:
    check('seg', write_labels(tmp_path), damage, said)


def test_a_colour_of_no_class_is_named_with_its_pixel(tmp_path: Path) -> None:
    write_labels(tmp_path, colours=True)
    with Image.open(tmp_path / LABEL) as picture:
        picture.load()
        picture.putpixel((5, 7), (1, 2, 3))
    picture.save(tmp_path / LABEL)
    said = rf'{LABEL}: pixel \(5, 7\) has the colour \(1, 2, 3\), which is not a class'
    with pytest.raises(UsageError, match=said):
        recognise('seg', tmp_path)


def test_one_slip_among_many_boxes_is_left_out_and_named(tmp_path: Path) -> None:
    path = write_yolo(tmp_path) / TEXT
    path.write_text('0 0.5 0.5 0.2 0.2\n' * 200 + '0 0.5 0.5 0 0\n')
    found = recognise('det', tmp_path)
    (remark,) = found.remarks
    assert remark.startswith('1 of 209 boxes left out: ') and f'{TEXT}:201: box is 0 x 0' in remark
    assert len(json.loads(found.files['mmsmt_coco/train.json'])['annotations']) == 205

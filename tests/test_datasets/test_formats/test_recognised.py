"""Every format is recognised with its classes, splits and boxes; and splits are made."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from own_data import (
    CLASSES,
    SIZE,
    box_of,
    names,
    write_coco,
    write_folders,
    write_image,
    write_labels,
    write_text,
    write_voc,
    write_yolo,
)
from PIL import Image

from mmsmt.datasets.formats import Found, recognise
from mmsmt.errors import UsageError


def content(found: Found, split: str, root: Path) -> dict:
    path = found.splits[split].annotations
    text = found.files.get(path) or (root / path).read_bytes()
    return json.loads(text)


@pytest.mark.parametrize('write', [write_voc, write_yolo, write_coco])
def test_boxes_are_read_alike_from_every_format(write, tmp_path: Path) -> None:
    found = recognise('det', write(tmp_path))
    assert found.classes == CLASSES and found.size == SIZE
    assert {split: part.number for split, part in found.splits.items()} == {'train': 6, 'val': 3}
    for split, images in names().items():
        coco = content(found, split, tmp_path)
        folder = tmp_path / found.splits[split].images
        of_image = {a['image_id']: a for a in coco['annotations']}
        assert len(of_image) == len(coco['images']) == len(images)
        for (number, name), image in zip(images, coco['images']):
            assert (folder / image['file_name']).is_file() and image['file_name'].startswith(name)
            annotation = of_image[image['id']]
            category = {c['id']: c['name'] for c in coco['categories']}[annotation['category_id']]
            assert category == CLASSES[number % 2]
            np.testing.assert_allclose(annotation['bbox'], box_of(number), atol=0.02)


def test_polygons_of_yolo_become_masks(tmp_path: Path) -> None:
    found = recognise('det', write_yolo(tmp_path, masks=True))
    annotation = content(found, 'train', tmp_path)['annotations'][0]
    x, y, width, height = box_of(0)
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    np.testing.assert_allclose(annotation['segmentation'][0], corners, atol=0.02)
    assert found.masks and annotation['area'] == pytest.approx(width * height, rel=0.01)


def test_an_image_without_a_text_file_has_no_objects(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / 'labels/train/train_2.txt').unlink()
    coco = content(recognise('det', tmp_path), 'train', tmp_path)
    assert len(coco['images']) == 6 and len(coco['annotations']) == 5


def test_difficult_objects_of_voc_are_crowds(tmp_path: Path) -> None:
    path = write_voc(tmp_path) / 'Annotations/train_1.xml'
    path.write_text(path.read_text().replace('<difficult>0', '<difficult>1'))
    coco = content(recognise('det', tmp_path), 'train', tmp_path)
    assert [a['iscrowd'] for a in coco['annotations']] == [0, 1, 0, 0, 0, 0]


def test_coco_of_several_kinds_takes_the_instances(tmp_path: Path) -> None:
    folder = write_coco(tmp_path) / 'annotations'
    for split in ('train', 'val'):
        (folder / f'{split}.json').rename(folder / f'instances_{split}2017.json')
        text = (folder / f'instances_{split}2017.json').read_text()
        write_text(folder / f'person_keypoints_{split}2017.json', text)
    write_text(folder / 'captions_train2017.json', '{"images": [], "annotations": []}')
    found = recognise('det', tmp_path)
    assert found.splits['val'].annotations == 'annotations/instances_val2017.json'
    assert not found.files


@pytest.mark.parametrize('splits', [True, False])
def test_image_folders(splits: bool, tmp_path: Path) -> None:
    found = recognise('cls', write_folders(tmp_path, splits))
    assert found.format == 'image folders' and found.classes == CLASSES
    assert sum(part.number for part in found.splits.values()) == 9
    for path, listed in found.files.items():
        for line in listed.decode().splitlines():
            name, label = line.split()
            assert (tmp_path / name).is_file() and name.startswith(f'{CLASSES[int(label)]}/'), path
    assert bool(found.files) is not splits


def test_a_test_split_is_left_alone_where_validation_images_are_chosen(tmp_path: Path) -> None:
    write_folders(tmp_path)
    (tmp_path / 'val').rename(tmp_path / 'test')
    found = recognise('cls', tmp_path)
    numbers = {split: part.number for split, part in found.splits.items()}
    assert numbers == {'train': 4, 'val': 2, 'test': 3}
    assert found.remarks == ('2 of 6 images were chosen for validation (seed 0)',)


@pytest.mark.parametrize('task, write', [('det', write_coco), ('cls', write_folders)])
def test_a_split_depends_on_the_seed_alone(task: str, write, tmp_path: Path) -> None:
    write(tmp_path, splits=False)
    first, again, other = (recognise(task, tmp_path, seed).files for seed in (0, 0, 3))
    assert first == again and first.keys() == other.keys() and first != other


def test_a_split_has_every_class_on_both_sides(tmp_path: Path) -> None:
    for number in range(40):
        write_image(tmp_path / 'common' / f'{number}.jpg', number)
    for number in range(2):
        write_image(tmp_path / 'rare' / f'{number}.jpg', number)
    files = recognise('cls', tmp_path).files
    counts = {
        split: Counter(
            line.split()[1] for line in files[f'mmsmt_split/{split}.txt'].decode().splitlines()
        )
        for split in ('train', 'val')
    }
    assert counts == {'train': {'0': 32, '1': 1}, 'val': {'0': 8, '1': 1}}


def test_label_images_of_values_stay(tmp_path: Path) -> None:
    found = recognise('seg', write_labels(tmp_path))
    assert found.classes == ('background', *CLASSES) and not found.files
    assert found.splits['train'].annotations == 'labels/train'
    assert found.suffixes == ('.jpg', '.png') and not found.reduce_zero_label


def values(png: bytes, folder: Path) -> np.ndarray:
    path = folder / 'one.png'
    path.write_bytes(png)
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_colours_become_values(tmp_path: Path) -> None:
    found = recognise('seg', write_labels(tmp_path, colours=True))
    assert found.classes == ('background', *CLASSES)
    assert found.palette == ((0, 0, 0), (200, 0, 0), (0, 200, 0))
    written = values(found.files['mmsmt_labels/train/train_1.png'], tmp_path)
    x, y, width, height = box_of(1)
    expected = np.zeros(SIZE[::-1], np.uint8)
    expected[y : y + height, x : x + width] = 2
    expected[0] = 255
    np.testing.assert_array_equal(written, expected)


def test_a_value_of_no_class_has_to_be_named(tmp_path: Path) -> None:
    write_labels(tmp_path, unlabelled=3)
    with pytest.raises(UsageError, match='--unlabelled 3 or --unlabelled 0'):
        recognise('seg', tmp_path)
    found = recognise('seg', tmp_path, unlabelled=3)
    written = values(found.files['mmsmt_labels/val/val_6.png'], tmp_path)
    assert (written[0] == 255).all() and set(np.unique(written)) == {0, 1, 255}


def test_zero_for_no_class_is_what_hosts_reduce(tmp_path: Path) -> None:
    write_labels(tmp_path)
    write_text(tmp_path / 'classes.txt', 'cat\ndog\n')
    found = recognise('seg', tmp_path, unlabelled=0)
    assert found.reduce_zero_label and found.classes == CLASSES and not found.files


def test_masks_of_0_and_255_become_two_classes(tmp_path: Path) -> None:
    write_labels(tmp_path)
    (tmp_path / 'classes.txt').unlink()
    for path in (tmp_path / 'labels').rglob('*.png'):
        with Image.open(path) as picture:
            mask = np.where(np.asarray(picture) % 255, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(path)
    found = recognise('seg', tmp_path)
    assert found.classes == ('background', 'object')
    written = values(found.files['mmsmt_labels/val/val_6.png'], tmp_path)
    assert set(np.unique(written)) == {0, 1} and (written == 1).sum() == 20 * 16


def test_a_palette_gives_classes_without_a_list(tmp_path: Path) -> None:
    write_labels(tmp_path)
    (tmp_path / 'classes.txt').unlink()
    for path in (tmp_path / 'labels').rglob('*.png'):
        with Image.open(path) as picture:
            indexed = Image.fromarray(np.asarray(picture))
        indexed.putpalette([0, 0, 0, 9, 9, 9, 7, 7, 7] + [1] * (768 - 9))
        indexed.save(path)
    found = recognise('seg', tmp_path)
    assert found.classes == ('class_0', 'class_1', 'class_2') and not found.files
    assert found.palette == ((0, 0, 0), (9, 9, 9), (7, 7, 7))


@pytest.mark.parametrize('style', ['camvid', 'split first', 'voc lists', 'flat'])
def test_other_layouts_of_label_images(style: str, tmp_path: Path) -> None:
    write_labels(tmp_path)
    for split, images in names().items():
        sources = tmp_path / 'images' / split, tmp_path / 'labels' / split
        targets = {
            'camvid': (tmp_path / split, tmp_path / f'{split}annot'),
            'split first': (tmp_path / split / 'images', tmp_path / split / 'labels'),
            'voc lists': (tmp_path / 'JPEGImages', tmp_path / 'SegmentationClass'),
            'flat': (tmp_path / 'images', tmp_path / 'labels'),
        }[style]
        for source, target in zip(sources, targets):
            target.mkdir(parents=True, exist_ok=True)
            for path in list(source.iterdir()):
                path.rename(target / path.name)
            source.rmdir()
        if style == 'voc lists':
            listed = ''.join(f'{name}\n' for _, name in images)
            write_text(tmp_path / f'ImageSets/Segmentation/{split}.txt', listed)
    if style != 'flat':
        for name in ('images', 'labels'):
            (tmp_path / name).rmdir()
    found = recognise('seg', tmp_path)
    numbers = {split: part.number for split, part in found.splits.items()}
    assert sum(numbers.values()) == 9 and set(numbers) == {'train', 'val'}
    assert style == 'flat' or numbers == {'train': 6, 'val': 3}


@pytest.mark.parametrize('task', ['cls', 'det', 'seg'])
def test_a_folder_of_something_else_lists_the_layouts(task: str, tmp_path: Path) -> None:
    write_text(tmp_path / 'notes.txt', 'nothing\n')
    with pytest.raises(UsageError, match=f'no {task} data in a known format: .*NAME'):
        recognise(task, tmp_path)
    with pytest.raises(UsageError, match='no such folder'):
        recognise(task, tmp_path / 'absent')

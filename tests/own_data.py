"""Tiny data sets in the formats that `mmsmt new` reads: bright squares on grey."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ('cat', 'dog')
SIZE = 64, 48  # width, height
SPLITS = {'train': 6, 'val': 3}


def box_of(number: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of the square in an image."""
    return 4 + 5 * (number % 6), 6 + 3 * (number % 4), 20, 16


def write_image(path: Path, number: int, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(60, 120, (size[1], size[0], 3), np.uint8)
    x, y, width, height = box_of(number)
    pixels[y : y + height, x : x + width, number % 2] = 250
    Image.fromarray(pixels).save(path)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names() -> dict[str, list[tuple[int, str]]]:
    """Numbers and names of the images of each split."""
    found, number = {}, 0
    for split, length in SPLITS.items():
        found[split] = [(i, f'{split}_{i}') for i in range(number, number + length)]
        number += length
    return found


def write_voc(root: Path) -> Path:
    for split, images in names().items():
        write_text(root / f'ImageSets/Main/{split}.txt', ''.join(f'{n}\n' for _, n in images))
        for number, name in images:
            write_image(root / f'JPEGImages/{name}.jpg', number)
            x, y, width, height = box_of(number)
            xml = f"""<annotation>
<filename>{name}.jpg</filename>
<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>
<object>
<name>{CLASSES[number % 2]}</name>
<difficult>0</difficult>
<bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + width + 1}</xmax><ymax>{y + height + 1}\
</ymax></bndbox>
</object>
</annotation>
"""
            write_text(root / f'Annotations/{name}.xml', xml)
    return root


def write_yolo(root: Path, masks: bool = False) -> Path:
    write_text(root / 'data.yaml', f'nc: 2\nnames: [{", ".join(CLASSES)}]\n')
    for split, images in names().items():
        for number, name in images:
            write_image(root / f'images/{split}/{name}.png', number)
            x, y, width, height = box_of(number)
            left, right = x / SIZE[0], (x + width) / SIZE[0]
            top, bottom = y / SIZE[1], (y + height) / SIZE[1]
            shape = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
            if masks:
                shape = left, top, right, top, right, bottom, left, bottom
            line = ' '.join(f'{value:.6f}' for value in shape)
            write_text(root / f'labels/{split}/{name}.txt', f'{number % 2} {line}\n')
    return root


def write_coco(root: Path, splits: bool = True) -> Path:
    """With masks; without splits all images stand in one file."""
    content = {}
    for split, images in names().items():
        part = content.setdefault(split if splits else 'instances', dict(images=[], annotations=[]))
        part['categories'] = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
        for number, name in images:
            write_image(root / f'images/{split if splits else "all"}/{name}.jpg', number)
            entry = dict(id=number, file_name=f'{name}.jpg', width=SIZE[0], height=SIZE[1])
            part['images'].append(entry)
            x, y, width, height = box_of(number)
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            part['annotations'].append(
                dict(
                    id=number,
                    image_id=number,
                    category_id=1 + number % 2,
                    bbox=[x, y, width, height],
                    area=width * height,
                    iscrowd=0,
                    segmentation=[corners],
                )
            )
    for split, part in content.items():
        write_text(root / f'annotations/{split}.json', json.dumps(part))
    return root


def write_folders(root: Path, splits: bool = True) -> Path:
    for split, images in names().items():
        for number, name in images:
            folder = root / split if splits else root
            write_image(folder / CLASSES[number % 2] / f'{name}.jpg', number)
    return root


def write_labels(root: Path, colours: bool = False, unlabelled: int = 255) -> Path:
    """Background, cat and dog; the first row of pixels is not labelled.

    Colours stand in the list, that of pixels without a label as `void`.
    """
    shades = {0: (0, 0, 0), 1: (200, 0, 0), 2: (0, 200, 0), unlabelled: (255, 255, 255)}
    entries = ['background', *CLASSES]
    if colours:
        listed = zip([*entries, 'void'], shades.values())
        entries = [f'{name} {" ".join(map(str, shade))}' for name, shade in listed]
    write_text(root / 'classes.txt', ''.join(f'{entry}\n' for entry in entries))
    for split, images in names().items():
        for number, name in images:
            write_image(root / f'images/{split}/{name}.jpg', number)
            labels = np.zeros(SIZE[::-1], np.uint8)
            x, y, width, height = box_of(number)
            labels[y : y + height, x : x + width] = 1 + number % 2
            labels[0] = unlabelled
            picture = Image.fromarray(labels)
            if colours:
                painted = np.zeros((*labels.shape, 3), np.uint8)
                for value, shade in shades.items():
                    painted[labels == value] = shade
                picture = Image.fromarray(painted)
            path = root / f'labels/{split}/{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return root

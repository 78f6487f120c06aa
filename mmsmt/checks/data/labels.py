"""Segmentation: every image has a label image of its size with values of known classes."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmsmt.checks.data.classes import check_num_classes, model_num_classes
from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Check, Finding
from mmsmt.checks.data.images import Opener, check_images
from mmsmt.checks.data.places import (
    check_file,
    check_folder,
    list_files,
    missing_files,
    similar_file,
)
from mmsmt.datasets.image_files import DAMAGE, describe, seen_size
from mmsmt.text import count, some

UNLABELLED = 255  # what mmseg makes of the value 0 under `reduce_zero_label`, and of 255


def check_labels(opened: Opened, cfg: Config, opener: Opener) -> Check:
    """Check a data set that mmseg's BaseSegDataset reads.

    Args:
        opened: The data set.
        cfg: Config that it is from.
        opener: How many images are opened.

    Returns:
        No names of classes: label images hold none.
    """
    dataset = opened.dataset
    folder, label_folder = (dataset.data_prefix.get(k) for k in ('img_path', 'seg_map_path'))
    if folder is None:
        yield Finding('error', f'{opened.title} data set', '`data_prefix` has no `img_path`')
        return []
    places = list(check_folder(folder))
    places += check_folder(label_folder) if label_folder is not None else ()
    places += check_file(dataset.ann_file) if _has_list(dataset) else ()
    if places:
        yield from places
        yield Finding('note', folder, f'expected here: images, NAME{dataset.img_suffix}')
        if label_folder is not None:
            expected = f'expected here: label images, NAME{dataset.seg_map_suffix}'
            yield Finding('note', label_folder, expected)
        return []
    names = _names(dataset, folder)
    yield from _check_presence(folder, [name + dataset.img_suffix for name in names], 'image')
    if label_folder is None:
        yield Finding('warning', folder, 'has no label images: nothing can be evaluated on it')
    else:
        labels = [name + dataset.seg_map_suffix for name in names]
        yield from _check_presence(label_folder, labels, 'label image')
        yield from _check_pairs(opened, cfg, opener, names)
    present = [name for name in names if os.path.isfile(_path(folder, name, dataset.img_suffix))]
    paths = [_path(folder, name, dataset.img_suffix) for name in present]
    yield from check_images(paths, folder, opener)
    return []


def _has_list(dataset: Any) -> bool:
    """Whether a file lists the names, rather than the folder itself; as the host decides it."""
    return bool(dataset.ann_file) and not os.path.isdir(dataset.ann_file)


def _names(dataset: Any, folder: str) -> list[str]:
    """Names of the images without their suffix."""
    if _has_list(dataset):
        with open(dataset.ann_file, encoding='utf-8') as file:
            return [line.strip() for line in file]
    found = list_files(folder, dataset.img_suffix)
    return [name.removesuffix(dataset.img_suffix) for name in found]


def _path(folder: str, name: str, suffix: str) -> str:
    return os.path.join(folder, name + suffix)


def _check_presence(folder: str, names: list[str], noun: str) -> Iterator[Finding]:
    missing = missing_files(folder, names)
    if not names:
        others = {os.path.splitext(name)[1] for name in list_files(folder, '')}
        wrong = f'holds files of the suffixes {some(sorted(others))}' if others else 'is empty'
        yield Finding('error', folder, f'no {noun} found: {wrong}', 'see img_suffix, ann_file')
    elif missing:
        wrong = f'{len(missing):,} of {count(len(names), noun)} missing: {some(missing)}'
        yield Finding('error', folder, wrong, similar_file(folder, missing[0]))
    else:
        yield Finding('note', folder, f'{count(len(names), noun)}, none missing')


def _check_pairs(
    opened: Opened, cfg: Config, opener: Opener, names: list[str]
) -> Iterator[Finding]:
    """Open label images beside their images."""
    dataset = opened.dataset
    classes = dataset.metainfo.get('classes')
    number = len(classes) if classes else model_num_classes(cfg)
    if classes:
        yield from check_num_classes(cfg, len(classes), f'the {opened.title} data set')
    images, labels = dataset.data_prefix['img_path'], dataset.data_prefix['seg_map_path']
    pairs = [
        (_path(labels, name, dataset.seg_map_suffix), _path(images, name, dataset.img_suffix))
        for name in names
    ]
    pairs = [pair for pair in pairs if all(map(os.path.isfile, pair))]
    strange: dict[int, list[str]] = {}
    look = partial(look_at_labels, dataset=dataset, number=number)
    for (path, image), seen in opener.run(look, pairs, f'opening {labels}'):
        if seen.damage:
            yield Finding('error', path, seen.damage, 'label images have one channel of integers')
        elif seen.image_size and seen.size != seen.image_size:
            sizes = [f'{size[0]}x{size[1]}' for size in (seen.size, seen.image_size)]
            wrong = f'is {sizes[0]} pixels, its image {image} {sizes[1]}'
            yield Finding('error', path, wrong, 'the two must be equal')
        for value in seen.strange:
            strange.setdefault(value, []).append(os.path.basename(path))
    if strange:
        files = sorted({name for names in strange.values() for name in names})
        values = some(sorted(strange), 6)
        wrong = f'values {values} stand for no class, in {count(len(files), "file")}: {some(files)}'
        yield Finding('error', labels, wrong, _allowed(dataset.reduce_zero_label, number))


def _allowed(reduced: bool, number: int | None) -> str:
    if reduced:
        return f'reduce_zero_label=True takes 1 to {number}, and 0 and 255 for what is not labelled'
    return (
        f'the {number} classes take 0 to {(number or 1) - 1}, and 255 for what is not labelled; '
        'where 0 is no class, set reduce_zero_label=True'
    )


class Labels(NamedTuple):
    """What opening a label image showed.

    Args:
        size: Width and height in pixels.
        image_size: Those of its image, None where that cannot be read.
        strange: Values in the file that become no class.
        damage: Why it cannot be read or used.
    """

    size: tuple[int, int] = (0, 0)
    image_size: tuple[int, int] | None = None
    strange: tuple[int, ...] = ()
    damage: str = ''


def look_at_labels(pair: tuple[str, str], dataset: Any, number: int | None) -> Labels:
    """Open a label image and the header of its image.

    Args:
        pair: Paths of label image and image.
        dataset: The host's data set, which says how values become classes.
        number: Of classes; None if nothing says it.
    """
    path, image_path = pair
    try:
        with Image.open(path) as picture:
            values = np.asarray(picture)
    except DAMAGE as error:
        return Labels(damage=describe(error, path))
    if values.ndim != 2:
        return Labels(damage=f'has {values.shape[2]} channels')
    try:
        with Image.open(image_path) as image:
            image_size = seen_size(image)
    except DAMAGE:
        image_size = None  # the image's own check names it
    raw = np.unique(values)
    outside = () if number is None else raw[~_is_class(raw, dataset, number)]
    return Labels(values.shape[::-1], image_size, tuple(int(value) for value in outside))


def _is_class(values: np.ndarray, dataset: Any, number: int) -> np.ndarray:
    """Whether values of a file become a class or the ignored value, by the host's rules."""
    labels = values.astype(np.int64)
    if dataset.reduce_zero_label:
        labels = np.where((labels == 0) | (labels == UNLABELLED), UNLABELLED, labels - 1)
    mapped = np.vectorize(lambda v: (dataset.label_map or {}).get(v, v), otypes=[np.int64])(labels)
    return ((mapped >= 0) & (mapped < number)) | (mapped == dataset.ignore_index)

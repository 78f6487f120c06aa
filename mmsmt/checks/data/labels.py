"""Check of segmentation data: every image has a label image of its size and known values."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmsmt.checks.data.classes import count_classes
from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Check, Finding
from mmsmt.checks.data.images import Opener, check_images
from mmsmt.checks.data.places import check_places, check_presence, list_files
from mmsmt.datasets.image_files import DAMAGE, describe, seen_size
from mmsmt.datasets.sample_faults import unlabelled_advice
from mmsmt.hosts.config import IGNORED, ignored_label
from mmsmt.text import count, some


def check_labels(opened: Opened, cfg: Config, opener: Opener) -> Check:
    """Check a data set for mmseg's BaseSegDataset.

    Returns:
        An empty list: label images have no class names.
    """
    dataset = opened.dataset
    folder, label_folder = (dataset.data_prefix.get(k) for k in ('img_path', 'seg_map_path'))
    if folder is None:
        yield Finding('error', f'{opened.title} data set', '`data_prefix` has no `img_path`')
        return []
    # As in the host, a file may list the names instead of the folder.
    listed = dataset.ann_file if dataset.ann_file and not os.path.isdir(dataset.ann_file) else ''
    expected = {folder: f'images, NAME{dataset.img_suffix}'}
    if label_folder is not None:
        expected[label_folder] = f'label images, NAME{dataset.seg_map_suffix}'
    kinds = dict.fromkeys(expected, 'folder') | ({listed: 'file'} if listed else {})
    if places := check_places(kinds, expected):
        yield from places
        return []
    if listed:
        with open(listed, encoding='utf-8') as file:
            names = [line.strip() for line in file]
    else:
        found = list_files(folder, dataset.img_suffix)
        names = [name.removesuffix(dataset.img_suffix) for name in found]
    images = [name + dataset.img_suffix for name in names]
    present = yield from _check_files(folder, images, 'image')
    if label_folder is None:
        yield Finding('warning', folder, 'has no label images: nothing can be evaluated on it')
    else:
        labels = [name + dataset.seg_map_suffix for name in names]
        yield from _check_files(label_folder, labels, 'label image')
        pairs = [
            (os.path.join(label_folder, label), os.path.join(folder, image))
            for label, image in zip(labels, images)
        ]
        yield from _check_pairs(opened, cfg, opener, pairs)
    yield from check_images([os.path.join(folder, name) for name in present], folder, opener)
    return []


def _check_files(folder: str, names: list[str], noun: str) -> Check:
    """Check that files exist; return those that do."""
    if names:
        return (yield from check_presence(folder, names, noun))
    others = {os.path.splitext(name)[1] for name in list_files(folder, '')}
    wrong = f'it has files with the suffixes {some(sorted(others))}' if others else 'is empty'
    yield Finding('error', folder, f'no {noun} found: {wrong}', 'see img_suffix, ann_file')
    return []


def _check_pairs(
    opened: Opened, cfg: Config, opener: Opener, pairs: list[tuple[str, str]]
) -> Iterator[Finding]:
    """Open label images together with their images."""
    dataset, folder = opened.dataset, opened.dataset.data_prefix['seg_map_path']
    number = yield from count_classes(opened, cfg, dataset.metainfo.get('classes') or None)
    pairs = [pair for pair in pairs if all(map(os.path.isfile, pair))]
    strange: dict[int, list[str]] = {}
    ignored = ignored_label(cfg.model)
    look = partial(look_at_labels, dataset=dataset, number=number, ignored=ignored)
    for (path, image), seen in opener.run(look, pairs, f'opening {folder}'):
        if seen.damage:
            yield Finding('error', path, seen.damage, 'label images have one channel of integers')
        elif seen.image_size and seen.size != seen.image_size:
            sizes = [f'{size[0]}x{size[1]}' for size in (seen.size, seen.image_size)]
            wrong = f'is {sizes[0]} pixels, its image {image} {sizes[1]}'
            yield Finding('error', path, wrong, 'the sizes must be equal')
        for value in seen.strange:
            strange.setdefault(value, []).append(os.path.basename(path))
    if strange:
        files = sorted({name for names in strange.values() for name in names})
        values = some(sorted(strange), 6)
        wrong = f'values {values} are not classes, in {count(len(files), "file")}: {some(files)}'
        right = (
            f'with reduce_zero_label=True classes are 1 to {number}, and 0 and 255 are unlabelled'
        )
        if not dataset.reduce_zero_label:
            right = (
                f'the {number} classes are 0 to {(number or 1) - 1}, and {ignored} is unlabelled'
            )
            right += '; if 0 means unlabelled, set reduce_zero_label=True'
        if len(strange) == 1:
            right += f'; {unlabelled_advice(next(iter(strange)), dataset.reduce_zero_label)}'
        yield Finding('error', folder, wrong, right)


class Labels(NamedTuple):
    """Result of opening a label image; sizes are width and height in pixels."""

    size: tuple[int, int] = (0, 0)
    image_size: tuple[int, int] | None = None  # None if the image cannot be read
    strange: tuple[int, ...] = ()  # values in the file that are not classes
    damage: str = ''  # why it cannot be used


def look_at_labels(
    pair: tuple[str, str], dataset: Any, number: int | None, ignored: int = IGNORED
) -> Labels:
    """Open a label image and the header of its image.

    The host's data set defines the class of every value; the number of classes may be unknown.
    `ignored` is the unlabelled value of the model.
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
        image_size = None  # reported by the check of images
    raw = np.unique(values)
    outside = () if number is None else raw[~_is_class(raw, dataset, number, ignored)]
    return Labels(values.shape[::-1], image_size, tuple(int(value) for value in outside))


def _is_class(values: np.ndarray, dataset: Any, number: int, ignored: int) -> np.ndarray:
    """Return where values of a file become a class or the ignored value, by the host's rules."""
    labels = values.astype(np.int64)
    if dataset.reduce_zero_label:
        labels = np.where((labels == 0) | (labels == IGNORED), IGNORED, labels - 1)
    mapped = np.vectorize(lambda v: (dataset.label_map or {}).get(v, v), otypes=[np.int64])(labels)
    return ((mapped >= 0) & (mapped < number)) | (mapped == ignored)

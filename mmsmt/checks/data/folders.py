"""Classification: one folder a class, or a list of names and labels."""

import os
from collections.abc import Iterator

from mmengine.config import Config

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
    subfolders,
)
from mmsmt.text import count, some


def check_folders(opened: Opened, cfg: Config, opener: Opener) -> Check:
    """Check a data set that mmpretrain's CustomDataset reads, such as ImageNet.

    Args:
        opened: The data set.
        cfg: Config that it is from.
        opener: How many images are opened.

    Returns:
        Names of the class folders in the order of their labels, empty where a list gives labels.
    """
    dataset, folder = opened.dataset, opened.dataset.img_prefix
    places = list(check_folder(folder))
    places += check_file(dataset.ann_file) if dataset.ann_file else ()
    if places:
        yield from places
        yield Finding('note', folder, f'expected here: {_layout(opened)}')
        return []
    classes: list[str] = []
    if dataset.ann_file:
        names = yield from _check_list(opened, cfg)
    elif dataset.with_label:
        classes = [path.name for path in subfolders(folder)]
        names = yield from _check_classes(opened, cfg, classes)
    else:
        names = list_files(folder, dataset.extensions)
        if not names:
            right = f'the host reads {", ".join(sorted(dataset.extensions))}'
            yield Finding('error', folder, 'no image found', right)
    if names:
        yield Finding('note', folder, count(len(names), 'image'))
    paths = [os.path.join(folder, name) for name in names]
    yield from check_images(paths, folder, opener)
    return classes


def _layout(opened: Opened) -> str:
    dataset = opened.dataset
    if dataset.ann_file:
        return f'the images whose names and labels {dataset.ann_file} lists'
    if not dataset.with_label:
        return 'images'
    split = os.path.basename(os.path.normpath(dataset.img_prefix))
    meta = f', or flat, with lines NAME LABEL in {dataset.data_root}/meta/{split}.txt'
    return 'CLASS/NAME.jpg, one folder a class' + (meta if 'split' in opened.config else '')


def _check_classes(opened: Opened, cfg: Config, names: list[str]) -> Check:
    """Check the folders of the classes; returns the names of all images."""
    dataset, folder = opened.dataset, opened.dataset.img_prefix
    loose = [entry.name for entry in os.scandir(folder) if dataset.is_valid_file(entry.name)]
    if not names:
        wrong = f'no class folders, but {count(len(loose), "image")}'
        yield Finding('error', folder, wrong, f'expected here: {_layout(opened)}')
        return []
    if loose:
        wrong = f'{count(len(loose), "image")} in no class folder: {some(sorted(loose))}'
        yield Finding('warning', folder, wrong, 'the host leaves them out')
    hidden = [name for name in names if name.startswith('.')]
    if hidden:
        wrong = f'hidden folders {some(hidden)} count as classes'
        yield Finding('error', folder, wrong, 'remove them')
    where = f'{folder} (class folders)'
    if dataset.CLASSES is not None and len(dataset.CLASSES) != len(names):
        wrong = f'{count(len(names), "class folder")}, but {len(dataset.CLASSES)} class names'
        yield Finding('error', folder, wrong, 'one folder for each class, no other folders')
    yield from check_num_classes(cfg, len(names), where)
    found = []
    empty = []
    for name in names:
        images = list_files(os.path.join(folder, name), dataset.extensions)
        found += [f'{name}/{image}' for image in images]
        if not images:
            empty.append(name)
    if empty:
        wrong = f'{count(len(empty), "class folder")} without images: {some(empty)}'
        right = f'the host reads {", ".join(sorted(dataset.extensions))}'
        yield Finding('error', folder, wrong, right)
    return found


def _check_list(opened: Opened, cfg: Config) -> Check:
    """Check a list of names and labels; returns the names that exist."""
    dataset, path = opened.dataset, opened.dataset.ann_file
    with open(path, encoding='utf-8') as file:
        lines = [line.strip() for line in file]
    names, labels = lines, []
    if dataset.with_label:
        parts = [line.rsplit(' ', 1) for line in lines]
        bad = [n for n, p in enumerate(parts, 1) if len(p) < 2 or not p[1].isdecimal()]
        if bad:
            wrong = f'{count(len(bad), "line")} not of the form NAME LABEL: lines {some(bad)}'
            yield Finding('error', path, wrong, 'a label is a number from 0 on')
            return []
        names, labels = [p[0] for p in parts], [int(p[1]) for p in parts]
    yield from _check_range(opened, cfg, labels)
    missing = missing_files(dataset.img_prefix, names)
    if missing:
        wrong = f'{len(missing):,} of {count(len(names), "image")} missing: {some(missing)}'
        right = f'{path} lists them; {similar_file(dataset.img_prefix, missing[0])}'
        yield Finding('error', dataset.img_prefix, wrong, right)
    absent = set(missing)
    return [name for name in names if name not in absent]


def _check_range(opened: Opened, cfg: Config, labels: list[int]) -> Iterator[Finding]:
    path, classes = opened.dataset.ann_file, opened.dataset.CLASSES
    if classes is not None:
        yield from check_num_classes(cfg, len(classes), f'the {opened.title} data set')
    number = len(classes) if classes is not None else model_num_classes(cfg)
    if not labels or number is None:
        return
    used = set(labels)
    if max(used) >= number:
        wrong = f'labels go from {min(used)} to {max(used)}'
        yield Finding('error', path, wrong, f'{number} classes take 0 to {number - 1}')
    elif len(used) < number:
        unused = sorted(set(range(number)) - used)
        wrong = f'{len(unused)} of {number} classes have no image: labels {some(unused)}'
        yield Finding('warning', path, wrong)

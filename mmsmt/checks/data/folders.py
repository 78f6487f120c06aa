"""Check of classification data: one folder per class, or a list of names and labels."""

import os

from mmengine.config import Config

from mmsmt.checks.data.classes import check_num_classes, count_classes
from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Check, Finding
from mmsmt.checks.data.images import Opener, check_images
from mmsmt.checks.data.places import check_places, check_presence, list_files, subfolders
from mmsmt.text import count, some


def check_folders(opened: Opened, cfg: Config, opener: Opener) -> Check:
    """Check a data set for mmpretrain's CustomDataset, such as ImageNet.

    Returns:
        Names of the class folders in the order of their labels, empty if a list gives labels.
    """
    dataset, folder = opened.dataset, opened.dataset.img_prefix
    kinds = {folder: 'folder'} | ({dataset.ann_file: 'file'} if dataset.ann_file else {})
    if places := check_places(kinds, {folder: _layout(opened)}):
        yield from places
        return []
    classes: list[str] = []
    if dataset.ann_file:
        names = yield from _check_list(opened, cfg)
    else:
        if dataset.with_label:
            classes = [path.name for path in subfolders(folder)]
            names = yield from _check_classes(opened, cfg, classes)
        else:
            names = list_files(folder, dataset.extensions)
            if not names:
                yield Finding('error', folder, 'no image found', _suffixes(opened))
        if names:
            yield Finding('note', folder, count(len(names), 'image'))
    yield from check_images([os.path.join(folder, name) for name in names], folder, opener)
    return classes


def _suffixes(opened: Opened) -> str:
    return f'the host reads {", ".join(sorted(opened.dataset.extensions))}'


def _layout(opened: Opened) -> str:
    dataset = opened.dataset
    if dataset.ann_file:
        return f'the images listed with labels in {dataset.ann_file}'
    if not dataset.with_label:
        return 'images'
    split = os.path.basename(os.path.normpath(dataset.img_prefix))
    meta = f', or flat, with lines NAME LABEL in {dataset.data_root}/meta/{split}.txt'
    return 'CLASS/NAME.jpg, one folder per class' + (meta if 'split' in opened.config else '')


def _check_classes(opened: Opened, cfg: Config, names: list[str]) -> Check:
    """Check the folders of the classes; return the names of all images."""
    dataset, folder = opened.dataset, opened.dataset.img_prefix
    loose = [entry.name for entry in os.scandir(folder) if dataset.is_valid_file(entry.name)]
    if not names:
        wrong = f'no class folders, but {count(len(loose), "image")}'
        yield Finding('error', folder, wrong, f'expected here: {_layout(opened)}')
        return []
    if loose:
        wrong = f'{count(len(loose), "image")} in no class folder: {some(sorted(loose))}'
        yield Finding('warning', folder, wrong, 'the host ignores them')
    if hidden := [name for name in names if name.startswith('.')]:
        wrong = f'hidden folders {some(hidden)} count as classes'
        yield Finding('error', folder, wrong, 'remove them')
    if dataset.CLASSES is not None and len(dataset.CLASSES) != len(names):
        wrong = f'{count(len(names), "class folder")}, but {len(dataset.CLASSES)} class names'
        yield Finding('error', folder, wrong, 'keep one folder per class, and no other folders')
    yield from check_num_classes(cfg, len(names), f'{folder} (class folders)')
    found = {name: list_files(os.path.join(folder, name), dataset.extensions) for name in names}
    if empty := [name for name in names if not found[name]]:
        wrong = f'{count(len(empty), "class folder")} without images: {some(empty)}'
        yield Finding('error', folder, wrong, _suffixes(opened))
    return [f'{name}/{image}' for name, images in found.items() for image in images]


def _check_list(opened: Opened, cfg: Config) -> Check:
    """Check a list of names and labels; return the names that exist."""
    dataset, path = opened.dataset, opened.dataset.ann_file
    with open(path, encoding='utf-8') as file:
        names = [line.strip() for line in file]
    labels: set[int] = set()
    if dataset.with_label:
        parts = [line.rsplit(' ', 1) for line in names]
        bad = [n for n, p in enumerate(parts, 1) if len(p) < 2 or not p[1].isdecimal()]
        if bad:
            wrong = f'{count(len(bad), "line")} not of the form NAME LABEL: lines {some(bad)}'
            yield Finding('error', path, wrong, 'labels are numbers from 0')
            return []
        names, labels = [p[0] for p in parts], {int(p[1]) for p in parts}
    number = yield from count_classes(opened, cfg, dataset.CLASSES)
    if labels and number is not None:
        unused = sorted(set(range(number)) - labels)
        if max(labels) >= number:
            wrong = f'labels go from {min(labels)} to {max(labels)}'
            yield Finding(
                'error', path, wrong, f'the labels of {number} classes are 0 to {number - 1}'
            )
        elif unused:
            wrong = f'{len(unused)} of {number} classes have no images: labels {some(unused)}'
            yield Finding('warning', path, wrong)
    return (yield from check_presence(dataset.img_prefix, names, 'image', f'{path} lists them; '))

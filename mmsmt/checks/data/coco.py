"""Data sets in COCO's format: one annotation file, one folder of images."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mmengine.config import Config

from mmsmt.checks.data.boxes import check_boxes, is_number
from mmsmt.checks.data.classes import check_num_classes, nearest
from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Check, Finding
from mmsmt.checks.data.images import Opener, check_images
from mmsmt.checks.data.places import check_file, check_folder, missing_files, similar_file
from mmsmt.text import count, some


class Kind(NamedTuple):
    """What a value has to be."""

    words: str
    test: Callable[[Any], bool]


ID = Kind('a whole number', lambda value: isinstance(value, int | str))
TEXT = Kind('a text', lambda value: isinstance(value, str) and bool(value))
SIZE = Kind('a number above 0', lambda value: is_number(value) and value > 0)
NUMBER = Kind('a number', is_number)
BOX = Kind('', lambda value: True)  # `check_boxes` says more
# What the host reads of every record; without one of them it raises KeyError.
FIELDS = {
    'images': dict(id=ID, file_name=TEXT, width=SIZE, height=SIZE),
    'annotations': dict(id=ID, image_id=ID, category_id=ID, bbox=BOX, area=NUMBER),
    'categories': dict(id=ID, name=TEXT),
}


def check_coco(opened: Opened, cfg: Config, opener: Opener) -> Check:
    """Check a data set that mmdet's CocoDataset reads.

    Args:
        opened: The data set.
        cfg: Config that it is from.
        opener: How many images are opened.

    Returns:
        Names of the classes in the order of their labels, empty where that is unknown.
    """
    dataset = opened.dataset
    path, folder = dataset.ann_file, dataset.data_prefix.get('img')
    if folder is None:
        yield Finding('error', f'{opened.title} data set', '`data_prefix` has no `img`')
        return []
    no_file, no_folder = list(check_file(path)), list(check_folder(folder))
    if no_file or no_folder:
        yield from no_file + no_folder
        yield Finding('note', path, 'expected here: the COCO annotation file')
        yield Finding('note', folder, 'expected here: images, under the names in that file')
    if no_file:
        return []
    content, troubles = read_annotations(path)
    if troubles:
        yield from troubles
        return []
    yield from _check_ids(path, content)
    yield from check_class_names(opened, content['categories'])
    classes = dataset.metainfo['classes']
    if not getattr(dataset, 'return_classes', False):  # heads of open vocabularies count otherwise
        yield from check_num_classes(cfg, len(classes), f'the {opened.title} data set')
    yield from check_boxes(opened, content)
    if not no_folder:
        yield from _check_files(folder, content['images'], opener)
    return label_names(opened, content['categories'])


def read_annotations(path: str) -> tuple[dict[str, Any], list[Finding]]:
    """Read a COCO file; the second result says why it is none."""
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (ValueError, OSError) as error:
        right = 'a download or a writing that broke off? make the file anew'
        return {}, [Finding('error', path, f'is no JSON ({error})', right)]
    form = 'a COCO file is one object with the lists images, annotations and categories'
    if not isinstance(content, dict):
        return {}, [Finding('error', path, f'holds a {type(content).__name__}', form)]
    troubles = []
    for kind, fields in FIELDS.items():
        records = content.get(kind)
        if not isinstance(records, list):
            troubles.append(Finding('error', path, f'has no list `{kind}`', form))
            continue
        for field in fields:
            lacking = [
                n for n, r in enumerate(records) if not isinstance(r, dict) or field not in r
            ]
            if lacking:
                wrong = f'{len(lacking):,} of {count(len(records), "record")} in `{kind}`'
                wrong += f' have no `{field}`, such as numbers {some(lacking)}'
                troubles.append(Finding('error', path, wrong, f'each needs {", ".join(fields)}'))
    return content, troubles or list(_check_kinds(path, content))


def _check_kinds(path: str, content: dict[str, Any]) -> Iterator[Finding]:
    """Values with which nothing can be computed."""
    for kind, fields in FIELDS.items():
        records = content[kind]
        for field, right in fields.items():
            bad = [n for n, r in enumerate(records) if not right.test(r[field])]
            if bad:
                wrong = f'`{field}` of {len(bad):,} of {count(len(records), "record")} in `{kind}`'
                values = some(f'{records[n][field]!r:.40} in number {n}' for n in bad)
                yield Finding('error', path, f'{wrong} is not {right.words}: {values}')


def _check_ids(path: str, content: dict[str, Any]) -> Iterator[Finding]:
    """Ids that stand twice or refer to nothing."""
    known = {}
    for kind, records in content.items():
        if kind in FIELDS:
            ids = [record['id'] for record in records]
            known[kind] = set(ids)
            if len(known[kind]) < len(ids):
                twice = _repeated(ids)
                wrong = f'{count(len(twice), "id")} of `{kind}` given twice: {some(twice)}'
                yield Finding('error', path, wrong, 'every record needs an id of its own')
    names = [category['name'] for category in content['categories']]
    if len(set(names)) < len(names):
        yield Finding('error', path, f'categories named twice: {some(_repeated(names))}')
    for field, kind in (('image_id', 'images'), ('category_id', 'categories')):
        lost = [a for a in content['annotations'] if a[field] not in known[kind]]
        if lost:
            values = some(sorted({str(a[field]) for a in lost}))
            wrong = f'{count(len(lost), "annotation")} with unknown {field}: {values}'
            yield Finding('error', path, wrong, f'every {field} must be an id in `{kind}`')


def _repeated(values: list[Any]) -> list[Any]:
    seen: set[Any] = set()
    return sorted({v for v in values if v in seen or seen.add(v)}, key=str)  # type: ignore[func-returns-value]


def label_names(opened: Opened, categories: list[dict[str, Any]]) -> list[str]:
    """Names of the classes in the order of their labels, which is that of the file."""
    classes = opened.dataset.metainfo['classes']
    return [c['name'] for c in categories if c['name'] in classes]


def check_class_names(opened: Opened, categories: list[dict[str, Any]]) -> Iterator[Finding]:
    """Names of classes in the config, or built into the data set's class, against the file's.

    Args:
        opened: The data set.
        categories: Of its annotation file.
    """
    path, classes = opened.dataset.ann_file, opened.dataset.metainfo['classes']
    if isinstance(classes, str):
        right = f'write ({classes!r},) with the comma for one class, or a list of names'
        yield Finding('error', 'metainfo.classes', f'is the text {classes!r}', right)
        return
    names = [category['name'] for category in categories]
    unknown = [name for name in classes if name not in names]
    configured = 'classes' in (opened.config.get('metainfo') or {})
    if unknown and not configured:
        kind = type(opened.dataset).__name__
        wrong = f'lacks {len(unknown)} of the {len(classes)} class names built into {kind}: '
        right = f'set metainfo=dict(classes=({some(map(repr, names), 20)},)) in the data sets'
        yield Finding('error', path, wrong + some(map(repr, unknown)), right)
    elif unknown:
        for name in unknown:
            wrong = f'has no category {name!r}, which metainfo.classes names'
            yield Finding('error', path, wrong, nearest(name, names))
    elif list(classes) != label_names(opened, categories):
        right = 'predictions would get wrong names: write metainfo.classes in the order of the file'
        yield Finding('error', path, 'lists the classes in another order than the config', right)
    unused = [name for name in names if name not in classes]
    if unused and not unknown:
        wrong = f'{len(unused)} of {len(names)} categories are not among the classes: '
        yield Finding('warning', path, wrong + some(unused), 'their objects count as background')


def _check_files(folder: str, images: list[dict[str, Any]], opener: Opener) -> Iterator[Finding]:
    names = [image['file_name'] for image in images]
    missing = missing_files(folder, names)
    if missing:
        wrong = f'{len(missing):,} of {count(len(names), "image")} missing: {some(missing)}'
        yield Finding('error', folder, wrong, similar_file(folder, missing[0]))
    else:
        yield Finding('note', folder, f'{count(len(names), "image")}, none missing')
    absent = set(missing)
    sizes = {
        f'{folder.rstrip("/")}/{image["file_name"]}': (image['width'], image['height'])
        for image in images
        if image['file_name'] not in absent
    }
    yield from check_images(list(sizes), folder, opener, sizes)

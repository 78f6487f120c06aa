"""Check of data sets in COCO format: one annotation file, one folder of images."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmsmt.checks.data.boxes import check_boxes, is_number
from mmsmt.checks.data.classes import count_classes
from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Check, Finding
from mmsmt.checks.data.images import Opener, check_images
from mmsmt.checks.data.places import check_places, check_presence
from mmsmt.text import count, nearest, some

# Fields that the host reads from every record; a missing one raises KeyError. With each, the
# expected value and a test for it.
ID = 'an integer', lambda value: isinstance(value, int | str)
TEXT = 'a text', lambda value: isinstance(value, str) and bool(value)
SIZE = 'a number above 0', lambda value: is_number(value) and value > 0
NUMBER = 'a number', is_number
BOX = '', lambda value: True  # checked by `check_boxes`
FIELDS = {
    'images': dict(id=ID, file_name=TEXT, width=SIZE, height=SIZE),
    'annotations': dict(id=ID, image_id=ID, category_id=ID, bbox=BOX, area=NUMBER),
    'categories': dict(id=ID, name=TEXT),
}
FORM = 'a COCO file is an object with the lists images, annotations and categories'


def check_coco(opened: Opened, cfg: Config, opener: Opener) -> Check:
    """Check a data set for mmdet's CocoDataset.

    Returns:
        Names of the classes in the order of their labels, empty if unknown.
    """
    dataset = opened.dataset
    path, folder = dataset.ann_file, dataset.data_prefix.get('img')
    if folder is None:
        yield Finding('error', f'{opened.title} data set', '`data_prefix` has no `img`')
        return []
    expected = {path: 'the COCO annotation file', folder: 'images, under the names in that file'}
    places = check_places({path: 'file', folder: 'folder'}, expected)
    yield from places
    missing = [finding.where for finding in places if finding.level == 'error']
    if path in missing:
        return []
    content, troubles = _read_annotations(path)
    if troubles:
        yield from troubles
        return []
    yield from _check_ids(path, content)
    yield from _check_class_names(opened, content['categories'])
    if not getattr(dataset, 'return_classes', False):  # open-vocabulary heads have other classes
        yield from count_classes(opened, cfg, dataset.metainfo['classes'])
    yield from check_boxes(opened, content)
    if folder not in missing:
        yield from _check_files(folder, content['images'], opener)
    return _label_names(opened, content['categories'])


def _read_annotations(path: str) -> tuple[dict[str, Any], list[Finding]]:
    """Return the content of a COCO file, and findings if it is not valid."""
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (ValueError, OSError) as error:
        right = 'incomplete download or write? create the file again'
        return {}, [Finding('error', path, f'not valid JSON ({error})', right)]
    if not isinstance(content, dict):
        return {}, [Finding('error', path, f'holds a {type(content).__name__}', FORM)]
    return content, list(_check_fields(path, content))


def _check_fields(path: str, content: dict[str, Any]) -> Iterator[Finding]:
    """Find fields that are missing or have unusable values."""
    for kind, fields in FIELDS.items():
        records = content.get(kind)
        if not isinstance(records, list):
            yield Finding('error', path, f'has no list `{kind}`', FORM)
            continue
        whole = f'{count(len(records), "record")} in `{kind}`'
        for field, (words, is_right) in fields.items():
            lacks = [n for n, r in enumerate(records) if not isinstance(r, dict) or field not in r]
            if lacks:
                wrong = (
                    f'{len(lacks):,} of {whole} have no `{field}`, such as numbers {some(lacks)}'
                )
                yield Finding('error', path, wrong, f'each needs {", ".join(fields)}')
                continue
            bad = [n for n, r in enumerate(records) if not is_right(r[field])]
            if bad:
                values = some(f'{records[n][field]!r:.40} in number {n}' for n in bad)
                wrong = f'`{field}` of {len(bad):,} of {whole} is not {words}: {values}'
                yield Finding('error', path, wrong)


def _check_ids(path: str, content: dict[str, Any]) -> Iterator[Finding]:
    """Find ids that are duplicated or refer to nothing."""
    known = {kind: {record['id'] for record in content[kind]} for kind in FIELDS}
    for kind in FIELDS:
        if twice := _repeated(content[kind], 'id'):
            wrong = f'{count(len(twice), "id")} of `{kind}` used twice: {some(twice)}'
            yield Finding('error', path, wrong, 'every record needs a unique id')
    if names := _repeated(content['categories'], 'name'):
        yield Finding('error', path, f'categories named twice: {some(names)}')
    for field, kind in (('image_id', 'images'), ('category_id', 'categories')):
        lost = [a for a in content['annotations'] if a[field] not in known[kind]]
        if lost:
            values = some(sorted({str(a[field]) for a in lost}))
            wrong = f'{count(len(lost), "annotation")} with unknown {field}: {values}'
            yield Finding('error', path, wrong, f'every {field} must be an id in `{kind}`')


def _repeated(records: list[dict[str, Any]], field: str) -> list[Any]:
    counts = Counter(record[field] for record in records)
    return sorted((value for value, times in counts.items() if times > 1), key=str)


def _label_names(opened: Opened, categories: list[dict[str, Any]]) -> list[str]:
    """Return the names of the classes in the order of their labels, that of the file."""
    classes = opened.dataset.metainfo['classes']
    return [c['name'] for c in categories if c['name'] in classes]


def _check_class_names(opened: Opened, categories: list[dict[str, Any]]) -> Iterator[Finding]:
    """Compare class names in the config, or built into the data set's class, with the file."""
    path, classes = opened.dataset.ann_file, opened.dataset.metainfo['classes']
    if isinstance(classes, str):
        right = f'write ({classes!r},) with the comma for one class, or a list of names'
        yield Finding('error', 'metainfo.classes', f'is the string {classes!r}', right)
        return
    if strange := [name for name in classes if not isinstance(name, str)]:
        right = f'write names as strings: {str(strange[0])!r}'
        yield Finding('error', 'metainfo.classes', f'holds {some(map(repr, strange))}', right)
        return
    names = [category['name'] for category in categories]
    unknown = [name for name in classes if name not in names]
    unused = [name for name in names if name not in classes]
    if unknown and 'classes' not in (opened.config.get('metainfo') or {}):
        kind = type(opened.dataset).__name__
        wrong = f'lacks {len(unknown)} of the {len(classes)} class names built into {kind}: '
        right = f'set metainfo=dict(classes=({some(map(repr, names), 20)},)) in the data sets'
        yield Finding('error', path, wrong + some(map(repr, unknown)), right)
    elif unknown:
        there = f'there are {", ".join(map(repr, sorted(names)[:6]))}'
        for name in unknown:
            similar = nearest(name, names)
            right = f'the nearest one there is {similar!r}' if similar else there
            wrong = f'has no category {name!r}, which is in metainfo.classes'
            yield Finding('error', path, wrong, right)
    elif list(classes) != _label_names(opened, categories):
        right = 'predictions would get wrong names: write metainfo.classes in the order of the file'
        yield Finding('error', path, 'has the classes in another order than the config', right)
    if unused and not unknown:
        wrong = f'{len(unused)} of {len(names)} categories are not among the classes: '
        yield Finding('warning', path, wrong + some(unused), 'their objects count as background')


def _check_files(folder: str, images: list[dict[str, Any]], opener: Opener) -> Iterator[Finding]:
    sizes = {image['file_name']: (image['width'], image['height']) for image in images}
    names = yield from check_presence(folder, [image['file_name'] for image in images], 'image')
    paths = {f'{folder.rstrip("/")}/{name}': sizes[name] for name in names}
    yield from check_images(list(paths), folder, opener, paths)

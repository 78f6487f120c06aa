"""COCO: one JSON file per split with images, annotations and categories."""

import json
from pathlib import Path
from typing import Any

from mmsmt.datasets.formats.boxes import to_json
from mmsmt.datasets.formats.found import (
    COCO_FOLDER,
    SPLITS,
    Found,
    Split,
    require_names,
    split_of,
    subfolders,
    typical,
)
from mmsmt.datasets.formats.split import divide
from mmsmt.errors import UsageError
from mmsmt.text import some

LAYOUT = 'annotations/*_train*.json with the images in subfolders (COCO)'
LISTS = ('images', 'annotations', 'categories')


def recognise(root: Path, seed: int = 0) -> Found | None:
    """Read a folder in COCO format; None if it is in another format.

    Files are used unchanged, unless validation images must be chosen. Errors inside them are found
    by `mmsmt.checks.data`.

    Raises:
        UsageError: If a file is not valid JSON, images are not found, or splits have different
            classes.
    """
    files = _annotation_files(root)
    if not files:
        return None
    classes: tuple[str, ...] = ()
    for path, content in files.values():
        names = require_names((c.get('name', '') for c in content['categories']), path)
        if classes and names != classes:
            first = next(iter(files.values()))[0]
            raise UsageError(
                f'{path}: has classes {some(names, 6)}, but {first} has {some(classes, 6)}: all '
                f'splits need the same classes in the same order'
            )
        classes = names
    splits, sizes = {}, []
    for split, (path, content) in files.items():
        if not content['images']:
            raise UsageError(f'{path}: the split {split or "of all images"} is empty')
        folder = _image_folder(root, path, split, content['images'])
        annotations = path.relative_to(root).as_posix()
        splits[split] = Split(folder, len(content['images']), annotations)
        sizes += [(image['width'], image['height']) for image in content['images']]
    whole = 'train' if 'train' in splits else ''
    written, remarks = {}, []
    if whole not in splits:
        raise UsageError(f'{root}: no annotation file for the train split')
    if 'val' not in splits:
        previous, (path, content) = splits.pop(whole), files[whole]
        parts, said = _divide(path, content, seed)
        remarks.append(said)
        for split, part in parts.items():
            name = f'{COCO_FOLDER}/{split}.json'
            written[name] = to_json(part)
            splits[split] = Split(previous.images, len(part['images']), name)
    objects = [a for _, content in files.values() for a in content['annotations']]
    return Found(
        'COCO',
        classes,
        {split: splits[split] for split in SPLITS if split in splits},
        typical(sizes),
        written,
        tuple(remarks),
        masks=bool(objects) and all(a.get('segmentation') for a in objects),
    )


def _annotation_files(root: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return annotation files with objects by split, '' for a single file without a split.

    Raises:
        UsageError: If one cannot be read, or a split has several.
    """
    found: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for path in sorted(p for f in (root, *subfolders(root)) for p in f.glob('*.json')):
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
        except (ValueError, OSError) as error:
            raise UsageError(f'{path}: not valid JSON ({error})') from error
        if not isinstance(content, dict) or not all(
            isinstance(content.get(name), list) for name in LISTS
        ):
            continue
        _require_fields(path, content)
        inside = path.relative_to(root)
        split = split_of(path.stem) or split_of(inside.parent.name) or ''
        found.setdefault(split, []).append((path, content))
    for split, group in found.items():
        instances = [one for one in group if 'instances' in one[0].stem]
        if len(group) > 1 and len(instances) == 1:  # besides keypoints and captions
            found[split] = instances
        elif len(group) > 1:
            names = some(path for path, _ in group)
            what = f'for the split {split}' if split else 'without a split in their names'
            raise UsageError(f'{len(group)} annotation files {what}: {names}; keep one')
    return {split: group[0] for split, group in found.items()}


def _require_fields(path: Path, content: dict[str, Any]) -> None:
    """Raise unless records have the fields that are read here."""
    fields = dict(images=('id', 'file_name', 'width', 'height'), categories=('id', 'name'))
    fields['annotations'] = ('image_id', 'category_id')
    for kind, names in fields.items():
        for number, record in enumerate(content[kind]):
            lacking = [n for n in names if not isinstance(record, dict) or n not in record]
            if lacking:
                raise UsageError(f'{path}: {kind}[{number}] has no `{lacking[0]}`')


def _image_folder(root: Path, path: Path, split: str, images: list[dict[str, Any]]) -> str:
    """Return the folder that contains the first images."""
    names = [image['file_name'] for image in images[:20]]
    folders = [*subfolders(root / 'images'), *subfolders(root), root / 'images', root, path.parent]
    fitting = [f for f in folders if split and split_of(f.name) == split]
    for folder in (path.parent, *fitting, *folders):
        if any((folder / name).is_file() for name in names):
            inside = folder.relative_to(root).as_posix()
            return '' if inside == '.' else inside
    tried = some((f.relative_to(root).as_posix() for f in dict.fromkeys(fitting + folders)), 6)
    raise UsageError(f'{path}: its images, such as {names[0]}, are not in any of {tried}')


def _divide(
    path: Path, content: dict[str, Any], seed: int
) -> tuple[dict[str, dict[str, Any]], str]:
    """Divide a file's content into `train` and `val`, and return a remark."""
    labels: dict[str, set[Any]] = {str(image['id']): set() for image in content['images']}
    for annotation in content['annotations']:
        labels.setdefault(str(annotation['image_id']), set()).add(annotation['category_id'])
    divided, said = divide(labels, seed, path)
    parts = {}
    for split, inside in divided.items():
        parts[split] = content | dict(
            images=[i for i in content['images'] if str(i['id']) in inside],
            annotations=[a for a in content['annotations'] if str(a['image_id']) in inside],
        )
    return parts, said

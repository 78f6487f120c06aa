"""Boxes of all formats: checks, splits, and conversion to COCO files."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from mmsmt.datasets.formats.found import COCO_FOLDER, TOLERATED, Faults, Found, Size, Split, typical
from mmsmt.datasets.formats.split import divide
from mmsmt.errors import UsageError
from mmsmt.text import some

ROUNDING = 1.0  # pixels by which a box may stick out of its image


class Instance(NamedTuple):
    """An object in an image: class, `x, y, width, height` in pixels, and its position in a file."""

    label: int
    box: tuple[float, float, float, float]
    where: str
    crowd: bool = False  # ignored in training and evaluation
    polygon: tuple[float, ...] = ()


class Record(NamedTuple):
    """An image: name relative to the folder of its split, width and height, objects."""

    name: str
    size: Size
    instances: list[Instance]


def build_found(
    format_name: str,
    classes: Sequence[str],
    records: Mapping[str, tuple[str, list[Record]]],
    seed: int,
) -> Found:
    """Check boxes, split images if necessary, and create COCO files in memory.

    Args:
        format_name: Name of the format, for display.
        classes: Names in the order of their labels.
        records: Folder of images and its images, by split; the split '' is for images in no split.
            Without `val`, some of `train` or '' are chosen.
        seed: Seed of that choice.

    Raises:
        UsageError: If a split is empty, or too many boxes are wrong.
    """
    kept, remarks = _check_boxes(records)
    kept, said = with_val(kept, seed)
    files, splits = {}, {}
    for split, (folder, images) in kept.items():
        path = f'{COCO_FOLDER}/{split}.json'
        files[path] = to_json(to_coco(images, classes))
        splits[split] = Split(folder, len(images), path)
    images = [image for _, group in kept.values() for image in group]
    objects = [instance for image in images for instance in image.instances]
    return Found(
        format_name,
        tuple(classes),
        splits,
        typical(image.size for image in images),
        files,
        (*remarks, *said),
        masks=bool(objects) and all(instance.polygon for instance in objects),
    )


def with_val(
    records: Mapping[str, tuple[str, list[Record]]], seed: int
) -> tuple[dict[str, tuple[str, list[Record]]], list[str]]:
    """Choose validation images if there are none, and return a remark on the choice.

    Raises:
        UsageError: If a split is empty, there is no training split, or too few images to split.
    """
    for split, (folder, images) in records.items():
        if not images:
            raise UsageError(f'{folder}: the split {split or "of all images"} is empty')
    given = dict(records)
    if 'val' in given and 'train' in given:
        return given, []
    whole = 'train' if 'train' in given else ''
    if whole not in given:
        raise UsageError(f'no train split, only {", ".join(given)}')
    folder, images = given.pop(whole)
    parts, said = divide({r.name: {i.label for i in r.instances} for r in images}, seed, folder)
    divided = {
        split: (folder, [record for record in images if record.name in names])
        for split, names in parts.items()
    }
    return {**divided, **given}, [said]


def _check_boxes(
    records: Mapping[str, tuple[str, list[Record]]],
) -> tuple[dict[str, tuple[str, list[Record]]], list[str]]:
    """Clip boxes to their images; drop a few wrong ones with a remark, raise if there are many."""
    faults, slips, total = Faults('correct them, or take them out'), [], 0
    kept: dict[str, tuple[str, list[Record]]] = {}
    for split, (folder, images) in records.items():
        kept[split] = folder, []
        for record in images:
            good = []
            for instance in record.instances:
                total += 1
                if wrong := wrong_with(instance.box, record.size):
                    faults.add(instance.where, wrong)
                    slips.append(instance.where)
                else:
                    good.append(instance._replace(box=_clip(instance.box, record.size)))
            kept[split][1].append(record._replace(instances=good))
    if len(slips) > TOLERATED * total:
        faults.stop()
    if not slips:
        return kept, []
    return kept, [f'{len(slips)} of {total:,} boxes left out: {some(faults.found)}']


def wrong_with(box: Sequence[float], size: Size) -> str:
    """Return why a box, `x, y, width, height` in pixels, cannot be used; empty if it can."""
    if not all(map(isfinite, box)):
        return f'box {_show(box)} is not four numbers'
    x, y, width, height = box
    if width <= 0 or height <= 0:
        return f'box is {width:g} x {height:g} pixels'
    beyond = max(-x, -y, x + width - size[0], y + height - size[1])
    if beyond > ROUNDING:
        return f'box {_show((x, y, x + width, y + height))} reaches beyond {size[0]}x{size[1]}'
    return ''


def _show(box: Sequence[float]) -> str:
    return f'({", ".join(f"{value:g}" for value in box)})'


def _clip(box: Sequence[float], size: Size) -> tuple[float, float, float, float]:
    x, y, width, height = box
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, size[0]), min(y + height, size[1])
    return left, top, right - left, bottom - top


def to_coco(records: Sequence[Record], classes: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the content of a COCO file; ids count from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, record in enumerate(records, 1):
        width, height = record.size
        images.append(dict(id=number, file_name=record.name, width=width, height=height))
        for instance in record.instances:
            box = [round(value, 2) for value in instance.box]
            entry = dict(
                id=len(annotations) + 1,
                image_id=number,
                category_id=instance.label + 1,
                bbox=box,
                area=round(_area(instance.polygon) or box[2] * box[3], 2),
                iscrowd=int(instance.crowd),
            )
            if instance.polygon:
                entry['segmentation'] = [[round(value, 2) for value in instance.polygon]]
            annotations.append(entry)
    categories = [dict(id=number, name=name) for number, name in enumerate(classes, 1)]
    return dict(images=images, annotations=annotations, categories=categories)


def to_json(content: Any) -> bytes:
    """Encode JSON deterministically."""
    return (json.dumps(content, ensure_ascii=False, separators=(',', ':')) + '\n').encode()


def _area(polygon: Sequence[float]) -> float:
    """Return the area of a polygon `x1, y1, x2, y2, ...`."""
    xs, ys = polygon[::2], polygon[1::2]
    twice = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return abs(twice) / 2

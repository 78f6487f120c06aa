"""Boxes and masks of a COCO file: what the host would leave out or misread."""

from collections.abc import Iterator
from math import isfinite
from numbers import Real
from typing import Any

from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Finding
from mmsmt.text import count, some

# Single slips of annotators are in COCO 2017 itself and no reason to stop; a mistake in the
# writing of a file hits far more than one box in a hundred.
TOLERATED = 0.01
ROUNDING = 1.0  # px by which a box may stick out


def check_boxes(opened: Opened, content: dict[str, Any]) -> Iterator[Finding]:
    """Check all boxes against their images, and that there are masks where these are asked for.

    Args:
        opened: The data set.
        content: Its annotation file, complete in all fields.
    """
    path = opened.dataset.ann_file
    images = {image['id']: image for image in content['images']}
    annotations = [a for a in content['annotations'] if a['image_id'] in images]
    kinds: dict[str, list[dict[str, Any]]] = {'broken': [], 'void': [], 'beyond': [], 'good': []}
    for annotation in annotations:
        kinds[_kind(annotation, images[annotation['image_id']])].append(annotation)
    broken, void, beyond = kinds['broken'], kinds['void'], kinds['beyond']
    if broken:
        wrong = f'{_share(broken, annotations)} not of four numbers: {_ids(broken)}'
        yield Finding('error', path, wrong, 'bbox is [x, y, width, height] in pixels')
    if void:
        wrong = (
            f'{_share(void, annotations)} under a pixel in size or outside the image: {_ids(void)}'
        )
        right = 'the host leaves them out'
        if all(max(a['bbox']) <= 1 for a in void):
            right += '; bbox is in pixels, not in shares of the image'
        yield Finding(_level(void, annotations), path, wrong, right)
    if beyond:
        wrong = f'{_share(beyond, annotations)} reach beyond the image: {_ids(beyond)}'
        right = 'bbox is [x, y, width, height], not two corners'
        yield Finding(_level(beyond, annotations), path, wrong, right)
    used = {a['image_id'] for a in annotations}
    empty = len(images) - len(used)
    counts = f'{count(len(images), "image")}, {count(len(annotations), "annotation")}'
    yield Finding('note', path, f'{counts}, {count(empty, "image")} without any')
    if not used and 'train' in opened.splits:
        yield Finding('error', path, 'has no annotation at all to learn from')
    yield from _check_masks(opened, annotations, images)


def _check_masks(
    opened: Opened, annotations: list[dict[str, Any]], images: dict[Any, dict[str, Any]]
) -> Iterator[Finding]:
    if not _asks_for_masks(opened.config.get('pipeline')):
        return
    without = [a for a in annotations if not a.get('segmentation')]
    if without:
        wrong = f'{_share(without, annotations, "annotations")} without `segmentation`'
        right = 'the pipeline asks for masks: add them, or use a detector of boxes'
        level = _level(without, annotations)
        yield Finding(level, opened.dataset.ann_file, f'{wrong}: {_ids(without)}', right)
    wide = [a for a in annotations if not _mask_fits(a, images[a['image_id']])]
    if wide:
        wrong = f'{_share(wide, annotations, "masks")} not of the size of their image: {_ids(wide)}'
        right = '`size` of run lengths is [height, width]'
        yield Finding('error', opened.dataset.ann_file, wrong, right)


def _mask_fits(annotation: dict[str, Any], image: dict[str, Any]) -> bool:
    mask = annotation.get('segmentation')
    return not isinstance(mask, dict) or mask.get('size') == [image['height'], image['width']]


def _asks_for_masks(node: Any) -> bool:
    if isinstance(node, list | tuple):
        return any(map(_asks_for_masks, node))
    if isinstance(node, dict):
        return bool(node.get('with_mask')) or any(map(_asks_for_masks, node.values()))
    return False


def _kind(annotation: dict[str, Any], image: dict[str, Any]) -> str:
    if not _is_box(annotation['bbox']):
        return 'broken'
    if _is_void(annotation, image):
        return 'void'
    return 'beyond' if _sticks_out(annotation, image) else 'good'


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that one can compute with: no NaN, no Infinity."""
    return isinstance(value, Real) and isfinite(value)


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(map(is_number, box))


def _is_void(annotation: dict[str, Any], image: dict[str, Any]) -> bool:
    """Whether the host would leave the box out: less than a pixel wide or high, or outside."""
    x, y, width, height = annotation['bbox']
    inside = min(x + width, image['width']) > max(x, 0) and min(y + height, image['height']) > max(
        y, 0
    )
    return not inside or annotation['area'] <= 0 or width < 1 or height < 1


def _sticks_out(annotation: dict[str, Any], image: dict[str, Any]) -> bool:
    x, y, width, height = annotation['bbox']
    right, bottom = image['width'] + ROUNDING, image['height'] + ROUNDING
    return min(x, y) < -ROUNDING or x + width > right or y + height > bottom


def _level(some_of: list[Any], whole: list[Any]) -> Any:
    return 'error' if len(some_of) > TOLERATED * len(whole) else 'warning'


def _share(some_of: list[Any], whole: list[Any], noun: str = 'boxes') -> str:
    return f'{len(some_of):,} of {len(whole):,} {noun}'


def _ids(annotations: list[dict[str, Any]]) -> str:
    return 'annotations ' + some([annotation['id'] for annotation in annotations])

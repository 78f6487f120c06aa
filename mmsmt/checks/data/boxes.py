"""Check of boxes and masks in a COCO file: what the host would ignore or misread."""

from collections.abc import Iterator
from math import isfinite
from numbers import Real
from typing import Any

from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Finding
from mmsmt.text import count, some

# COCO 2017 itself has single wrong boxes; a bug in writing a file hits far more than 1 % of the
# boxes.
TOLERATED = 0.01
ROUNDING = 1.0  # px by which a box may exceed the image
Annotations = list[dict[str, Any]]


def check_boxes(opened: Opened, content: dict[str, Any]) -> Iterator[Finding]:
    """Check the boxes of a file against their images, and masks if the pipeline loads them."""
    path = opened.dataset.ann_file
    images = {image['id']: image for image in content['images']}
    annotations = [a for a in content['annotations'] if a['image_id'] in images]
    kinds: dict[str, Annotations] = {'broken': [], 'void': [], 'beyond': [], 'good': []}
    for annotation in annotations:
        kinds[_kind(annotation, images[annotation['image_id']])].append(annotation)
    right = 'bbox is [x, y, width, height] in pixels'
    yield from _some_are(
        path, kinds['broken'], annotations, 'boxes that are not four numbers', right, 0
    )
    right = 'the host ignores them'
    if all(max(a['bbox']) <= 1 for a in kinds['void']):
        right += '; bbox is in pixels, not relative to the image'
    wrong = 'boxes smaller than a pixel or outside the image'
    yield from _some_are(path, kinds['void'], annotations, wrong, right)
    right = 'bbox is [x, y, width, height], not two corners'
    yield from _some_are(path, kinds['beyond'], annotations, 'boxes reach beyond the image', right)
    used = {a['image_id'] for a in annotations}
    empty = len(images) - len(used)
    counts = f'{count(len(images), "image")}, {count(len(annotations), "annotation")}'
    yield Finding('note', path, f'{counts}, {count(empty, "image")} without annotations')
    if not used and 'train' in opened.splits:
        yield Finding('error', path, 'has no annotations')
    if _asks_for_masks(opened.config.get('pipeline')):
        without = [a for a in annotations if not a.get('segmentation')]
        right = 'the pipeline loads masks: add them, or use a box detector'
        wrong = 'annotations without `segmentation`'
        yield from _some_are(path, without, annotations, wrong, right)
        wide = [a for a in annotations if not _mask_fits(a, images[a['image_id']])]
        right = '`size` of run lengths is [height, width]'
        wrong = 'masks that differ in size from their image'
        yield from _some_are(path, wide, annotations, wrong, right, 0)


def _some_are(
    path: str,
    found: Annotations,
    whole: Annotations,
    wrong: str,
    right: str,
    tolerated: float = TOLERATED,
) -> Iterator[Finding]:
    """Yield a finding about annotations, an error if they exceed the tolerated share."""
    if found:
        ids = some(annotation['id'] for annotation in found)
        wrong = f'{len(found):,} of {len(whole):,} {wrong}: annotations {ids}'
        few = len(found) <= tolerated * len(whole)
        yield Finding('warning' if few else 'error', path, wrong, right)


def _mask_fits(annotation: dict[str, Any], image: dict[str, Any]) -> bool:
    mask = annotation.get('segmentation')
    return not isinstance(mask, dict) or mask.get('size') == [image['height'], image['width']]


def _asks_for_masks(node: Any) -> bool:
    if isinstance(node, list | tuple):
        return any(map(_asks_for_masks, node))
    if isinstance(node, dict):
        return bool(node.get('with_mask')) or any(map(_asks_for_masks, node.values()))
    return False


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a finite number."""
    return isinstance(value, Real) and isfinite(value)


def _kind(annotation: dict[str, Any], image: dict[str, Any]) -> str:
    """Return what the host does with a box: 'void' ones are ignored."""
    box = annotation['bbox']
    if not (isinstance(box, list) and len(box) == 4 and all(map(is_number, box))):
        return 'broken'
    x, y, width, height = box
    right, bottom = x + width, y + height
    inside = min(right, image['width']) > max(x, 0) and min(bottom, image['height']) > max(y, 0)
    if not inside or annotation['area'] <= 0 or width < 1 or height < 1:
        return 'void'
    far = right > image['width'] + ROUNDING or bottom > image['height'] + ROUNDING
    return 'beyond' if far or min(x, y) < -ROUNDING else 'good'

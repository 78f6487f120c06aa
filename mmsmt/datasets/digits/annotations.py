"""Annotations of a scene: ADE20K-style label map and COCO records with run-length masks."""

import numpy as np

from mmsmt.datasets.digits.scenes import Scene
from mmsmt.datasets.digits.source import CLASSES

BACKGROUND = 1  # in label maps; 0 would mean 'not labelled', which no pixel is
FIRST_DIGIT = 2
IGNORED = 255  # label of pixels that a loss leaves out
FIRST_CATEGORY = 1  # COCO category ids start at 1: digit d is category d + 1


def label_map(scene: Scene) -> np.ndarray:
    """Label every pixel, shape (size, size), uint8: 1 for background, 2 to 11 for digits 0 to 9.

    `reduce_zero_label=True` turns them into 0 and 1 to 10.
    """
    labels = [FIRST_DIGIT + instance.label for instance in scene.instances]
    return np.array([BACKGROUND, *labels], dtype=np.uint8)[scene.owners]


def coco_annotations(scene: Scene, image_id: int, first_id: int) -> list[dict]:
    """Return a COCO record for the visible part of every digit; ids count from `first_id`.

    Masks are run lengths, not polygons, because 0, 6, 8 and 9 have holes. In addition to COCO's
    fields a record has `sample_id` (row in `load_digits()`), `height` (px, including hidden parts)
    and `visible` (share of the digit's pixels that no other digit hides).
    """
    from pycocotools import mask as mask_utils  # comes with mmdet

    records = []
    for index, instance in enumerate(scene.instances):
        mask = scene.owners == index + 1
        rle = mask_utils.encode(np.asfortranarray(mask, dtype=np.uint8))
        area = int(mask_utils.area(rle))
        records.append(
            {
                'id': first_id + index,
                'image_id': image_id,
                'category_id': instance.label + FIRST_CATEGORY,
                'segmentation': {'size': rle['size'], 'counts': rle['counts'].decode('ascii')},
                'area': area,
                'bbox': mask_utils.toBbox(rle).tolist(),
                'iscrowd': 0,
                'sample_id': instance.sample_id,
                'height': instance.height,
                'visible': round(area / instance.area, 4),
            }
        )
    return records


def coco_categories() -> list[dict]:
    """Return the ten COCO categories, ids 1 to 10, names '0' to '9'."""
    return [{'id': FIRST_CATEGORY + label, 'name': name} for label, name in enumerate(CLASSES)]


class BackgroundAsStuff:
    """Transform for mmdet: label maps in which the background is a class of stuff, the last one.

    Pixels of digits, which are things, are left to the masks.
    """

    def __call__(self, results: dict) -> dict:
        """Replace the map that `LoadAnnotations` read."""
        background = results['gt_seg_map'] == BACKGROUND
        results['gt_seg_map'] = np.where(background, len(CLASSES), IGNORED).astype(np.uint8)
        return results

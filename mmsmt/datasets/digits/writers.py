"""Writing tiles and scenes to disk, every file a function of the seed alone.

Each random picture has a generator of its own, seeded by (seed, stream,
number), so that its bytes depend neither on how many others are written nor on
their order.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mmsmt.datasets.digits.ade_labels import label_map
from mmsmt.datasets.digits.coco_records import coco_annotations, coco_categories
from mmsmt.datasets.digits.scenes import compose_scene
from mmsmt.datasets.digits.source import SPLITS, Digits
from mmsmt.datasets.digits.tiles import coloured_tile, plain_tile, rendered_tile

SCENE_STREAM = {split: number for number, split in enumerate(SPLITS)}
TILE_STREAM = len(SPLITS)


def write_tiles(
    folder: Path,
    digits: Digits,
    photographs: list[np.ndarray],
    renderings: int,
    seed: int,
) -> Iterator[Path]:
    """Write an image folder, one subfolder a class, in the order of samples.

    Args:
        folder: Where to write ``<label>/<sample>_plain.png`` and
            ``<label>/<sample>_<number>.png``.
        digits: The samples.
        photographs: Background parts, each (H, W, 3), uint8, RGB.
        renderings: Further tiles a sample, in turn rendered and coloured; may be 0.
        seed: Seed of the whole preparation.

    Yields:
        The path of each picture once it is written.
    """
    for ink, label, sample in zip(digits.images, digits.labels, digits.sample_ids):
        target = folder / str(label)
        target.mkdir(parents=True, exist_ok=True)
        tiles = {'plain': plain_tile(ink)}
        for number in range(renderings):
            rng = np.random.default_rng([seed, TILE_STREAM, sample, number])
            # Without the easier coloured ones a network starts to learn epochs later.
            tiles[str(number)] = (
                coloured_tile(ink, rng) if number % 2 else rendered_tile(ink, photographs, rng)
            )
        for name, tile in tiles.items():
            path = target / f'{sample:04d}_{name}.png'
            Image.fromarray(tile).save(path)
            yield path


def write_scenes(
    folder: Path,
    split: str,
    digits: Digits,
    photographs: list[np.ndarray],
    count: int,
    size: int,
    seed: int,
) -> Iterator[Path]:
    """Write scenes with their instance and semantic labels.

    Args:
        folder: Where to write ``images/<split>``, ``labels/<split>`` and
            ``annotations/instances_<split>.json`` (the latter at the end).
        split: 'train' or 'val'.
        digits: Samples of that split.
        photographs: Background parts of that split, each (H, W, 3), uint8, RGB.
        count: Number of scenes.
        size: Side of a scene in pixels.
        seed: Seed of the whole preparation.

    Yields:
        The path of each image once it and its label map are written.
    """
    image_folder, label_folder = folder / 'images' / split, folder / 'labels' / split
    for target in (image_folder, label_folder, folder / 'annotations'):
        target.mkdir(parents=True, exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for number in range(count):
        rng = np.random.default_rng([seed, SCENE_STREAM[split], number])
        scene = compose_scene(digits, photographs, size, rng)
        path = image_folder / f'{number:06d}.jpg'
        # Chroma at half resolution would smear the colour of 12 px digits.
        Image.fromarray(scene.image).save(path, quality=95, subsampling=0)
        Image.fromarray(label_map(scene)).save(label_folder / f'{number:06d}.png')
        images.append({'id': number, 'file_name': path.name, 'width': size, 'height': size})
        annotations += coco_annotations(scene, number, first_id=len(annotations) + 1)
        yield path
    write_json(
        folder / 'annotations' / f'instances_{split}.json',
        {'images': images, 'annotations': annotations, 'categories': coco_categories()},
    )


def write_json(path: Path, content: dict, indent: int | None = None) -> None:
    """Write JSON with sorted keys, so that equal contents are equal bytes."""
    path.write_text(json.dumps(content, sort_keys=True, indent=indent) + '\n', encoding='ascii')

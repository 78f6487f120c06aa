"""Writers of tiles and scenes; every file depends only on the seed.

Each random picture has its own generator, seeded by (seed, stream, number), so its bytes do not
depend on the number or order of the others.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mmsmt.datasets.digits.annotations import coco_annotations, coco_categories, label_map
from mmsmt.datasets.digits.scenes import compose_scene
from mmsmt.datasets.digits.source import SPLITS, Digits
from mmsmt.datasets.digits.tiles import coloured_tile, plain_tile, rendered_tile

TILE_STREAM = len(SPLITS)  # after the streams of the splits' scenes


def write_tiles(
    folder: Path, digits: Digits, photographs: list[np.ndarray], renderings: int, seed: int
) -> Iterator[Path]:
    """Write `<label>/<sample>_plain.png`, and `renderings` tiles `<label>/<sample>_<number>.png`.

    The latter are alternately rendered and coloured.

    Yields:
        The path of each picture after it is written.
    """
    for ink, label, sample in zip(digits.images, digits.labels, digits.sample_ids):
        target = folder / str(label)
        target.mkdir(parents=True, exist_ok=True)
        tiles = {'plain': plain_tile(ink)}
        for number in range(renderings):
            rng = np.random.default_rng([seed, TILE_STREAM, sample, number])
            # Without the easier coloured tiles a network starts to learn epochs later.
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
    """Write the scenes of a split, `train` or `val`, with instance and semantic labels.

    The files are `images/<split>/*.jpg`, `labels/<split>/*.png` and, at the end,
    `annotations/instances_<split>.json`.

    Yields:
        The path of each image after it and its label map are written.
    """
    image_folder, label_folder = folder / 'images' / split, folder / 'labels' / split
    for target in (image_folder, label_folder, folder / 'annotations'):
        target.mkdir(parents=True, exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for number in range(count):
        rng = np.random.default_rng([seed, SPLITS.index(split), number])
        scene = compose_scene(digits, photographs, size, rng)
        path = image_folder / f'{number:06d}.jpg'
        # Chroma at half resolution would smear the colour of 12 px digits.
        Image.fromarray(scene.image).save(path, quality=95, subsampling=0)
        Image.fromarray(label_map(scene)).save(label_folder / f'{number:06d}.png')
        images.append({'id': number, 'file_name': path.name, 'width': size, 'height': size})
        annotations += coco_annotations(scene, number, first_id=len(annotations) + 1)
        yield path
    content = {'images': images, 'annotations': annotations, 'categories': coco_categories()}
    write_json(folder / 'annotations' / f'instances_{split}.json', content)


def write_json(path: Path, content: dict, indent: int | None = None) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes."""
    path.write_text(json.dumps(content, sort_keys=True, indent=indent) + '\n', encoding='ascii')

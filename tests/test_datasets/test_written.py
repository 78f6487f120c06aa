"""What is written: masks, boxes and labels agree, and no sample crosses the split."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as mask_utils
from sklearn.datasets import load_digits

from mmsmt.datasets.digits import Parameters, load_split

SPLITS = ('train', 'val')


def read_scenes(prepared: Path, split: str) -> tuple[dict, dict[int, list[dict]]]:
    """Read the JSON of a split and its annotations by image."""
    path = prepared / 'scenes' / 'annotations' / f'instances_{split}.json'
    content = json.loads(path.read_text())
    by_image = defaultdict(list)
    for annotation in content['annotations']:
        by_image[annotation['image_id']].append(annotation)
    return content, by_image


@pytest.mark.parametrize('split', SPLITS)
def test_masks_labels_and_boxes_agree_pixel_by_pixel(prepared: Path, split: str) -> None:
    content, by_image = read_scenes(prepared, split)
    for image in content['images']:
        name = Path(image['file_name'])
        labels = np.asarray(Image.open(prepared / 'scenes' / 'labels' / split / f'{name.stem}.png'))
        expected = np.ones_like(labels)
        covered = np.zeros(labels.shape, dtype=int)
        assert by_image[image['id']], 'a scene without digits'
        for annotation in by_image[image['id']]:
            mask = mask_utils.decode(annotation['segmentation']).astype(bool)
            covered += mask
            expected[mask] = annotation['category_id'] + 1
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            left, top = columns[0], rows[0]
            box = [left, top, columns[-1] - left + 1, rows[-1] - top + 1]
            assert annotation['bbox'] == box
            assert annotation['area'] == mask.sum()
            assert annotation['iscrowd'] == 0
        assert covered.max() == 1, 'visible masks overlap'
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize('split', SPLITS)
def test_json_is_complete_coco(prepared: Path, parameters: Parameters, split: str) -> None:
    content, _ = read_scenes(prepared, split)
    assert [category['id'] for category in content['categories']] == list(range(1, 11))
    assert [category['name'] for category in content['categories']] == list('0123456789')
    assert len(content['images']) == getattr(parameters, f'scenes_{split}')
    ids = [annotation['id'] for annotation in content['annotations']]
    assert ids == list(range(1, len(ids) + 1))


@pytest.mark.parametrize('split', SPLITS)
def test_images_are_rgb_jpegs_with_full_chroma(prepared: Path, split: str) -> None:
    content, _ = read_scenes(prepared, split)
    for image in content['images']:
        with Image.open(prepared / 'scenes' / 'images' / split / image['file_name']) as opened:
            assert (opened.format, opened.mode) == ('JPEG', 'RGB')
            assert opened.size == (image['width'], image['height']) == (256, 256)
            assert {factors[1:3] for factors in opened.layer} == {(1, 1)}


@pytest.mark.parametrize('split', SPLITS)
def test_scenes_hold_samples_of_their_own_split_only(prepared: Path, split: str) -> None:
    content, _ = read_scenes(prepared, split)
    own = set(load_split()[split].sample_ids.tolist())
    target = load_digits().target
    for annotation in content['annotations']:
        assert annotation['sample_id'] in own, f'sample of another split in {split}'
        assert target[annotation['sample_id']] == annotation['category_id'] - 1


@pytest.mark.parametrize('split, tiles', [('train', ['0', 'plain']), ('val', ['plain'])])
def test_image_folder_holds_each_sample_of_its_split(
    prepared: Path, split: str, tiles: list[str]
) -> None:
    digits = load_split()[split]
    found = {
        (int(path.parent.name), path.stem) for path in (prepared / 'cls' / split).rglob('*.png')
    }
    assert found == {
        (label, f'{sample:04d}_{tile}')
        for label, sample in zip(digits.labels, digits.sample_ids)
        for tile in tiles
    }


def test_tiles_are_rgb_64(prepared: Path) -> None:
    for path in sorted((prepared / 'cls' / 'train').rglob('*.png'))[::50]:
        with Image.open(path) as tile:
            assert (tile.size, tile.mode) == ((64, 64), 'RGB')


def test_manifest_counts_what_is_there(prepared: Path) -> None:
    manifest = json.loads((prepared / 'digits.json').read_text())
    for name, count in manifest['counts'].items():
        folder = prepared / name.replace('scenes', 'scenes/images')
        assert sum(path.is_file() for path in folder.rglob('*')) == count

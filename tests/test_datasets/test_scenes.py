"""Composed scenes and tiles: scales, visibility, legibility, seeds."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from mmsmt.datasets.digits import Digits, Scene, compose_scene, load_photographs, load_split
from mmsmt.datasets.digits.painting import LUMA
from mmsmt.datasets.digits.tiles import TILE, plain_tile, rendered_tile


def compose(seed: int, split: str = 'train', size: int = 256) -> Scene:
    rng = np.random.default_rng(seed)
    return compose_scene(load_split()[split], load_photographs()[split], size, rng)


@pytest.fixture(scope='module')
def scenes() -> list[Scene]:
    return [compose(seed) for seed in range(120)]


def test_scales_span_an_order_of_magnitude(scenes: list[Scene]) -> None:
    heights = [instance.height for scene in scenes for instance in scene.instances]
    assert min(heights) == 12 and max(heights) >= 118
    counts, _ = np.histogram(heights, np.geomspace(12, 121, 4))
    assert counts.min() > 0.25 * len(heights), f'a third of the scales holds few digits: {counts}'


def test_visible_boxes_are_as_high_as_the_digits(scenes: list[Scene]) -> None:
    for scene in scenes:
        for index, instance in enumerate(scene.instances):
            mask = scene.owners == index + 1
            if mask.sum() == instance.area:
                extent = np.ptp(np.flatnonzero(mask.any(axis=1))) + 1
                assert instance.height - 2 <= extent <= instance.height


def test_counts_are_one_to_eight(scenes: list[Scene]) -> None:
    counts = np.bincount([len(scene.instances) for scene in scenes], minlength=9)
    assert counts[0] == 0 and len(counts) == 9
    assert counts[1:].min() > 0


def test_enough_of_each_digit_is_visible_and_some_overlap(scenes: list[Scene]) -> None:
    shares = [
        np.sum(scene.owners == index + 1) / instance.area
        for scene in scenes
        for index, instance in enumerate(scene.instances)
    ]
    assert 0.6 <= min(shares) and max(shares) == 1
    assert 0.03 < np.mean(np.array(shares) < 1) < 0.3


def test_digits_stand_out_from_what_surrounds_them(scenes: list[Scene]) -> None:
    differences = []
    for scene in scenes:
        luma = scene.image.astype(np.float32) / 255 @ LUMA
        for index in range(len(scene.instances)):
            mask = scene.owners == index + 1
            ring = binary_dilation(mask, iterations=4) & ~binary_dilation(mask, iterations=1)
            differences.append(np.median(luma[mask]) - np.median(luma[ring]))
    differences = np.array(differences)
    # A digit painted later may lie close by, so the rule holds for nearly all.
    assert np.mean(np.abs(differences) > 0.2) > 0.97
    assert 0.3 < np.mean(differences > 0) < 0.7, 'one polarity is rare'


def test_seed_decides_everything() -> None:
    first, second, other = compose(5), compose(5), compose(6)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.owners, second.owners)
    assert first.instances == second.instances
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize('size', [160, 201, 512])
def test_any_allowed_size(size: int) -> None:
    for seed in range(5):
        scene = compose(seed, size=size)
        assert scene.image.shape == (size, size, 3) and scene.owners.shape == (size, size)
        assert scene.instances


def test_too_small_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match='at least 160 px, got 159'):
        compose(0, size=159)


def test_plain_tile_is_the_sample_white_on_black() -> None:
    digits: Digits = load_split()['val']
    for ink in digits.images[:20]:
        tile = plain_tile(ink)
        assert tile.shape == (TILE, TILE, 3) and tile.dtype == np.uint8
        blocks = tile[..., 0].reshape(8, 8, 8, 8).mean(axis=(1, 3)) / 255
        np.testing.assert_allclose(blocks, ink, atol=0.35)  # smoothing mixes neighbours


def test_rendered_tiles_differ_and_all_show_something() -> None:
    ink, photographs = load_split()['train'].images[0], load_photographs()['train']
    tiles = [rendered_tile(ink, photographs, np.random.default_rng(seed)) for seed in range(20)]
    assert len({tile.tobytes() for tile in tiles}) == 20
    for tile in tiles:
        luma = tile.astype(np.float32) / 255 @ LUMA
        assert np.ptp(np.quantile(luma, [0.01, 0.99])) > 0.25

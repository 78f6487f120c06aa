"""Colours: a digit can be read wherever it is painted."""

import numpy as np

from mmsmt.datasets.digits import load_photographs
from mmsmt.datasets.digits.painting import LUMA, MIN_CONTRAST, paint, pick_colour
from mmsmt.datasets.digits.photographs import crop_background


def test_colour_is_outside_the_range_of_its_surroundings_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    patch = rng.uniform(0.4, 0.6, (40, 30, 3)).astype(np.float32)
    low, high = np.quantile(patch @ LUMA, [0.02, 0.98])
    lumas = np.array([pick_colour(patch, rng) @ LUMA for _ in range(200)])
    darker, brighter = lumas <= low - MIN_CONTRAST + 1e-5, lumas >= high + MIN_CONTRAST - 1e-5
    assert np.all(darker | brighter)
    assert 60 < darker.sum() < 140


def test_colours_are_colours() -> None:
    rng = np.random.default_rng(0)
    grey = np.full((9, 9, 3), 0.5, dtype=np.float32)
    colours = np.array([pick_colour(grey, rng) for _ in range(200)])
    assert colours.min() >= 0 and colours.max() <= 1
    assert np.ptp(colours, axis=1).mean() > 0.1


def test_black_and_white_surroundings_are_refused() -> None:
    picture = np.zeros((40, 40, 3), dtype=np.float32)
    picture[:, 20:] = 1
    before = picture.copy()
    rng = np.random.default_rng(0)
    assert not paint(picture, np.ones((20, 20), dtype=np.float32), 10, 10, rng)
    np.testing.assert_array_equal(picture, before)


def test_any_background_has_a_readable_colour() -> None:
    rng = np.random.default_rng(0)
    for parts in load_photographs().values():
        for _ in range(100):
            assert pick_colour(crop_background(parts, 64, rng), rng) is not None
    for limit in (0.69, 0.31):  # a crop may be flat at the bound
        assert pick_colour(np.full((5, 5, 3), limit, dtype=np.float32), rng) is not None


def test_soft_edges_blend() -> None:
    picture = np.full((6, 6, 3), 0.5, dtype=np.float32)
    assert paint(picture, np.array([[1.0, 0.5]], dtype=np.float32), 2, 3, np.random.default_rng(0))
    full, half = picture[2, 3] - 0.5, picture[2, 4] - 0.5
    np.testing.assert_allclose(half, full / 2, atol=1e-6)
    assert (picture != 0.5).any(axis=2).sum() == 2

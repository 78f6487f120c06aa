"""Drawing digits: orientation, size, opacity."""

import numpy as np
import pytest
from PIL import Image

from mmsmt.datasets.digits import load_split
from mmsmt.datasets.digits.glyphs import draw_glyph, draw_random_glyph

BAR = np.zeros((8, 8), dtype=np.float32)
BAR[:, 3:5] = 1


def lean(opacity: np.ndarray) -> float:
    """Columns that the upper half lies to the right of the lower half."""
    columns = np.arange(opacity.shape[1])
    upper, lower = np.array_split(opacity, 2)
    return (upper @ columns).sum() / upper.sum() - (lower @ columns).sum() / lower.sum()


@pytest.mark.parametrize('height', [8, 12, 37, 64, 120])
def test_height_is_exact_and_opacity_is_a_share(height: int) -> None:
    for ink in load_split()['val'].images[:20]:
        opacity = draw_glyph(ink, height, rotation=7, shear=0.1)
        assert len(opacity) == height
        assert opacity.dtype == np.float32
        assert opacity.min() >= 0 and opacity.max() <= 1
        assert (opacity > 0.5).any()


def test_drawing_is_the_sample() -> None:
    for ink in load_split()['val'].images[:50]:
        rows, columns = (np.flatnonzero((ink > 0.5).any(axis=axis)) for axis in (1, 0))
        cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        drawn = Image.fromarray(draw_glyph(ink, 64)).resize(cropped.shape[::-1], Image.BOX)
        agreement = np.corrcoef(np.asarray(drawn).ravel(), cropped.ravel())[0, 1]
        assert agreement > 0.6, f'drawn and sampled ink correlate by {agreement:.2f} only'


def test_shear_leans_right_and_rotation_turns_counter_clockwise() -> None:
    assert abs(lean(draw_glyph(BAR, 60))) < 0.5
    assert lean(draw_glyph(BAR, 60, shear=0.2)) == pytest.approx(0.2 * 30, abs=1)
    assert lean(draw_glyph(BAR, 60, rotation=10)) == pytest.approx(-np.tan(0.175) * 30, abs=1)


def test_stretch_widens() -> None:
    widths = [draw_glyph(BAR, 60, stretch=stretch).shape[1] for stretch in (0.8, 1.0, 1.2)]
    assert widths == sorted(set(widths))


def test_wide_digit_is_fitted_to_the_width() -> None:
    lying = np.ascontiguousarray(BAR.T)
    assert draw_glyph(lying, 60).shape[1] > 64
    fitted = draw_glyph(lying, 60, max_width=64)
    assert fitted.shape[1] <= 64
    assert fitted.shape[1] / len(fitted) == pytest.approx(4, rel=0.1)


def test_heights_are_log_uniform() -> None:
    rng = np.random.default_rng(0)
    heights = [len(draw_random_glyph(BAR, (12, 120), 256, rng)) for _ in range(600)]
    assert min(heights) == 12 and max(heights) >= 118
    counts, _ = np.histogram(heights, np.geomspace(12, 121, 5))
    np.testing.assert_allclose(counts, 150, atol=40)

"""Changed images against computations with numpy and PIL alone."""

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from mmsmt.analysis.invariance.variants import (
    DIRECTIONS,
    FORMS,
    RATIOS,
    Protocol,
    Variant,
    draw_direction,
    make_variants,
)

CROP, RESIZE = 56, 64
ORIGINS = {
    'released': lambda side: side // 2 - CROP // 2,
    'corrected': lambda s: round((s - CROP) / 2),
}


@pytest.fixture(scope='module')
def image() -> Image.Image:
    """Smooth colours, oblong, of a size that resizing leaves odd: 64 x 67."""
    rows, columns = np.mgrid[:128, :134]
    waves = [np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + 2 * columns) / 11)]
    return Image.fromarray(np.uint8(127 + 120 * np.stack(waves, axis=-1)))


def at(protocol: Protocol, kind: str, strength: float) -> Variant:
    (found,) = [v for v in make_variants([kind], protocol) if v.strength == strength]
    return found


def resized(image: Image.Image, side: int) -> Image.Image:
    short = min(image.size)
    size = tuple(int(side * length / short) for length in image.size)
    return image.resize(size, Image.Resampling.BICUBIC)


def centre(pixels: np.ndarray) -> np.ndarray:
    """Central crop of an array, black where it is smaller, as torchvision rounds."""
    out = np.zeros((CROP, CROP, 3), np.uint8)
    spans = []
    for side in pixels.shape[:2]:
        if side >= CROP:
            start = round((side - CROP) / 2)
            spans.append((slice(0, CROP), slice(start, start + CROP)))
        else:
            before = (CROP - side) // 2
            spans.append((slice(before, before + side), slice(0, side)))
    (to_row, row), (to_column, column) = spans
    out[to_row, to_column] = pixels[row, column]
    return out


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('strength', [0, 3, 11, 16])
def test_translation(image: Image.Image, form: str, strength: int) -> None:
    protocol = Protocol(CROP, RESIZE, form, seed=2)
    source = np.asarray(resized(image, RESIZE))
    for index in range(6):
        direction = draw_direction(strength, index, protocol)
        expected = np.zeros((CROP, CROP, 3), np.uint8)
        grids = []
        for side, sign in zip(source.shape[:2], direction, strict=True):
            wanted = np.arange(CROP) + ORIGINS[form](side) + sign * strength
            inside = wanted[(wanted >= 0) & (wanted < side)]
            first = (wanted < 0).sum() if form == 'corrected' else (CROP - len(inside)) // 2
            grids.append((first, inside))
        (row, rows), (column, columns) = grids
        expected[row : row + len(rows), column : column + len(columns)] = source[rows][:, columns]
        shifted = at(protocol, 'translation', strength).apply(image, index)
        assert np.array_equal(np.asarray(shifted), expected), (index, direction)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('angle', [0, 35, 90])
def test_rotation(image: Image.Image, form: str, angle: int) -> None:
    protocol = Protocol(CROP, RESIZE, form)
    bicubic = Image.Resampling.BICUBIC
    turned = np.asarray(resized(image, RESIZE).rotate(angle, bicubic))
    before = at(protocol, 'pre_rotation', angle)
    assert np.array_equal(np.asarray(before.apply(image, 0)), centre(turned))
    view = Image.fromarray(centre(np.asarray(resized(image, RESIZE))))
    after = at(protocol, 'post_rotation', angle)
    assert np.array_equal(
        np.asarray(after.apply(image, 0)), np.asarray(view.rotate(angle, bicubic))
    )
    if angle == 90:  # counter-clockwise
        assert np.array_equal(np.asarray(after.apply(image, 0)), np.rot90(np.asarray(view)))
    assert before.label == 'pre_rotation'
    assert after.label == ('pre_rotation' if form == 'released' else 'post_rotation')


@pytest.mark.parametrize('ratio', [0.2, 0.95, 1.075, 1.95])
def test_scale(image: Image.Image, ratio: float) -> None:
    scaled = at(Protocol(CROP, RESIZE), 'scale', ratio).apply(image, 0)
    expected = centre(np.asarray(resized(image, int(CROP / ratio))))
    assert np.array_equal(np.asarray(scaled), expected)


def test_strengths_are_those_of_the_study() -> None:
    by_kind: dict[str, list[float]] = {}
    for variant in make_variants():
        by_kind.setdefault(variant.kind, []).append(variant.strength)
    assert by_kind['translation'] == [*range(0, 65, 4)]
    assert by_kind['pre_rotation'] == by_kind['post_rotation'] == [*range(0, 91, 5)]
    assert by_kind['scale'] == pytest.approx(np.linspace(0.2, 1.95, 15)) and 0.875 not in RATIOS
    corrected = [v.strength for v in make_variants(['scale'], Protocol(form='corrected'))]
    assert set(corrected) - set(RATIOS) == {0.875} and corrected == sorted(corrected)
    small = [v.strength for v in make_variants(['translation'], Protocol(56, 64))]
    assert small == [*range(0, 17)]
    assert len(make_variants(['translation'], Protocol(7, 8))) == 3


@pytest.mark.parametrize('size', [(CROP, RESIZE), (64, 73), (57, 60)])
def test_corrected_variants_of_no_strength_are_the_reference(
    image: Image.Image, size: tuple[int, int]
) -> None:
    protocol = Protocol(*size, 'corrected')
    reference = np.asarray(protocol.reference(image))
    none = {'translation': 0, 'pre_rotation': 0, 'post_rotation': 0, 'scale': size[0] / size[1]}
    for kind, strength in none.items():
        same = at(protocol, kind, strength).apply(image, 0)
        assert np.array_equal(np.asarray(same), reference), kind


def test_released_crop_without_shift_may_lie_a_pixel_off(image: Image.Image) -> None:
    protocol = Protocol(CROP, RESIZE)
    off = np.asarray(at(protocol, 'translation', 0).apply(image, 0))
    reference = np.asarray(protocol.reference(image))
    assert not np.array_equal(off, reference) and np.array_equal(off[:, 1:], reference[:, :-1])


def test_directions() -> None:
    drawn = {
        form: {draw_direction(8, i, Protocol(form=form)) for i in range(300)} for form in FORMS
    }
    assert drawn['released'] == set(DIRECTIONS) - {(1, -1)} and drawn['corrected'] == set(
        DIRECTIONS
    )
    first = [draw_direction(8, i, Protocol(seed=1)) for i in range(20)]
    assert first == [draw_direction(8, i, Protocol(seed=1)) for i in range(20)]
    assert first != [draw_direction(8, i, Protocol(seed=2)) for i in range(20)]


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(ValueError, match="unknown kind 'flip'; known: translation"):
        make_variants(['flip'])
    with pytest.raises(ValueError, match="unknown form 'x'; known: released, corrected"):
        make_variants(protocol=Protocol(form='x'))
    with pytest.raises(ValueError, match='from 1 to resize, got 65 of 64'):
        make_variants(protocol=Protocol(65, 64))


def test_corruptions_start_at_none(image: Image.Image) -> None:
    protocol = Protocol(CROP, RESIZE)
    view = np.asarray(protocol.reference(image))
    for kind in ('blur', 'noise'):
        assert np.array_equal(np.asarray(at(protocol, kind, 0).apply(image, 3)), view)


def test_blur_is_a_gaussian_of_the_size_of_the_crop(image: Image.Image) -> None:
    protocol = Protocol(CROP, RESIZE)
    view = np.asarray(protocol.reference(image), dtype=float)
    blurred = np.asarray(at(protocol, 'blur', 6.0).apply(image, 0), dtype=float)
    reference = gaussian_filter(view, (6.0 * CROP / 224,) * 2 + (0,), mode='nearest')
    # Pillow approximates by boxes and rounds.
    assert np.abs(blurred - reference).mean() < 1
    assert np.abs(blurred - view).mean() > 5


def test_noise_has_its_deviation_and_differs_between_images() -> None:
    grey = Image.new('RGB', (RESIZE, RESIZE), (128, 128, 128))
    noise = at(Protocol(CROP, RESIZE), 'noise', 0.12)
    first, second = (np.asarray(noise.apply(grey, i), dtype=float) - 128 for i in (0, 1))
    assert first.std() == pytest.approx(0.12 * 255, rel=0.03)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05
    assert np.array_equal(np.asarray(noise.apply(grey, 0), dtype=float) - 128, first)


def test_inversion_is_the_negative(image: Image.Image) -> None:
    protocol = Protocol(CROP, RESIZE)
    views = [np.asarray(at(protocol, 'inversion', i).apply(image, 0)) for i in (0.0, 1.0)]
    assert np.array_equal(views[0], protocol.reference(image))
    assert np.array_equal(views[0] + views[1], np.full_like(views[0], 255))


def test_jpeg_loses_more_at_a_lower_quality(image: Image.Image) -> None:
    protocol = Protocol(CROP, RESIZE)
    view = np.asarray(protocol.reference(image), dtype=float)
    lost = [
        np.abs(np.asarray(at(protocol, 'jpeg', quality).apply(image, 0)) - view).mean()
        for quality in (95.0, 50.0, 10.0)
    ]
    assert 0 < lost[0] < lost[1] < lost[2]


def test_the_default_kinds_are_the_published_ones() -> None:
    kinds = {variant.kind for variant in make_variants()}
    assert kinds == {'translation', 'pre_rotation', 'post_rotation', 'scale'}

"""The split of the bundled digits and the parts of the bundled photographs."""

import numpy as np
from sklearn.datasets import load_digits, load_sample_images

from mmsmt.datasets.digits import load_photographs, load_split

VAL_START = [10, 21, 24, 25, 28, 32, 34, 35]


def test_split_is_a_partition_of_all_samples() -> None:
    split = load_split()
    assert {name: len(digits) for name, digits in split.items()} == {'train': 1297, 'val': 500}
    ids = np.concatenate([digits.sample_ids for digits in split.values()])
    np.testing.assert_array_equal(np.sort(ids), np.arange(1797))


def test_split_holds_what_scikit_learn_holds() -> None:
    bunch = load_digits()
    for digits in load_split().values():
        np.testing.assert_array_equal(digits.labels, bunch.target[digits.sample_ids])
        np.testing.assert_array_equal(digits.images * 16, bunch.images[digits.sample_ids])


def test_no_drawing_is_on_both_sides() -> None:
    split = load_split()
    drawings = {name: {ink.tobytes() for ink in digits.images} for name, digits in split.items()}
    assert not drawings['train'] & drawings['val']


def test_split_is_stratified() -> None:
    split = load_split()
    shares = {k: np.bincount(digits.labels) / len(digits) for k, digits in split.items()}
    np.testing.assert_allclose(shares['train'], shares['val'], atol=1 / 500)


def test_split_is_fixed() -> None:
    first, second = load_split(), load_split()
    for name in first:
        np.testing.assert_array_equal(first[name].sample_ids, second[name].sample_ids)
    # Recorded: another split would make results of different releases incomparable.
    assert first['val'].sample_ids[:8].tolist() == VAL_START


def test_photographs_are_cut_without_overlap() -> None:
    parts = load_photographs()
    for photograph, left, right in zip(load_sample_images().images, parts['train'], parts['val']):
        np.testing.assert_array_equal(np.hstack([left, right]), photograph)
        assert left.shape[1] / photograph.shape[1] == 0.6

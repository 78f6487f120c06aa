"""Comparisons of networks against scipy's tests and a least-squares fit."""

import numpy as np
import pytest
from scipy import stats

from mmsmt.study.statistics import compare_neighbours, estimate_noise

SCORES = {
    'a': [70.0, 71.5, 70.9],
    'b': [68.0, 68.9, 69.3],
    'c': [69.9, 71.0, 70.2],
    'd': [60.0, 61.2, 61.1],
}


def test_two_networks_are_compared_by_the_paired_t_test() -> None:
    pair = {name: SCORES[name] for name in 'ba'}
    (found,) = compare_neighbours(pair, estimate_noise(pair))
    reference = stats.ttest_rel(SCORES['a'], SCORES['b'])
    assert (found.better, found.worse) == ('a', 'b')
    assert found.difference == pytest.approx(np.mean(SCORES['a']) - np.mean(SCORES['b']))
    assert found.p == pytest.approx(reference.pvalue)


def test_the_noise_is_what_networks_and_seeds_leave() -> None:
    values = np.array(list(SCORES.values()))
    networks, seeds = values.shape
    design = np.zeros((networks, seeds, networks + seeds))
    for i in range(networks):
        for j in range(seeds):
            design[i, j, [i, networks + j]] = 1
    flat = design.reshape(-1, networks + seeds)
    _, _, rank, _ = np.linalg.lstsq(flat, values.ravel(), rcond=None)
    fit = flat @ np.linalg.pinv(flat) @ values.ravel()
    freedom = values.size - rank
    expected = np.sqrt(((values.ravel() - fit) ** 2).sum() / freedom)
    assert estimate_noise(SCORES) == (pytest.approx(expected), freedom)


def test_many_comparisons_are_adjusted() -> None:
    noise = estimate_noise(SCORES)
    found = compare_neighbours(SCORES, noise)
    assert [(c.better, c.worse) for c in found] == [('a', 'c'), ('c', 'b'), ('b', 'd')]
    error = noise.deviation * np.sqrt(2 / 3)
    plain = [2 * stats.t.sf(c.difference / error, noise.freedom) for c in found]
    # Holm: the smallest of three times three, the next times two, never falling.
    assert found[2].p == pytest.approx(3 * plain[2])
    assert found[1].p == pytest.approx(2 * plain[1])
    assert found[0].p == pytest.approx(plain[0])
    assert found[2].p < found[1].p < 0.05 < found[0].p


def test_equal_scores_do_not_differ() -> None:
    noisy = {'a': [50.0, 52.0, 51.0], 'b': [51.0, 50.0, 52.0]}
    (found,) = compare_neighbours(noisy, estimate_noise(noisy))
    assert found.difference == 0 and found.p == 1


def test_the_noise_of_all_networks_holds_for_two() -> None:
    """Two seeds of two networks can agree by chance."""
    lucky = {'a': [70.0, 71.0], 'c': [69.9, 70.91]}
    others = {label: SCORES[label][:2] for label in 'bd'}
    alone, together = estimate_noise(lucky), estimate_noise(lucky | others)
    assert alone.freedom == 1 and together.freedom == 3
    (chance,), (difference,) = (compare_neighbours(lucky, noise) for noise in (alone, together))
    assert chance.p < 0.05 < difference.p

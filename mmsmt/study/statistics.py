"""Whether networks of a study differ by more than their seeds."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import stats


class Comparison(NamedTuple):
    """Two neighbours in a ranking; `p` is two-sided, and adjusted for the number of pairs."""

    better: str
    worse: str
    difference: float
    p: float


def residual_deviation(scores: Mapping[str, Sequence[float]]) -> tuple[float, int]:
    """Return what is left of the scores without networks' and seeds' means, as a deviation.

    Args:
        scores: Scores of every network, in the same order of at least two seeds.

    Returns:
        The standard deviation of one score, and its degrees of freedom.
    """
    table = np.array(list(scores.values()))
    rest = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(np.sqrt((rest**2).sum() / freedom)), freedom


def compare_neighbours(scores: Mapping[str, Sequence[float]]) -> list[Comparison]:
    """Compare every network with the next one in the ranking, paired by seed.

    The noise of one score is estimated from all networks together (a two-way analysis of variance
    without interaction), since three differences alone say little. For two networks this is the
    paired t-test. The p-values are adjusted by Holm's method.

    Args:
        scores: Scores of at least two networks, in the same order of at least two seeds.
    """
    deviation, freedom = residual_deviation(scores)
    means = {label: float(np.mean(values)) for label, values in scores.items()}
    ranking = sorted(means, key=lambda label: -means[label])
    seeds = len(next(iter(scores.values())))
    pairs = list(pairwise(ranking))
    differences = [means[a] - means[b] for a, b in pairs]
    error = deviation * np.sqrt(2 / seeds)
    plain = [2 * float(stats.t.sf(d / error, freedom)) if error else 0.0 for d in differences]
    adjusted, largest = dict[int, float](), 0.0
    for position, index in enumerate(sorted(range(len(plain)), key=lambda i: plain[i])):
        largest = max(largest, min(1.0, plain[index] * (len(plain) - position)))
        adjusted[index] = largest
    return [
        Comparison(better, worse, difference, adjusted[i])
        for i, ((better, worse), difference) in enumerate(zip(pairs, differences, strict=True))
    ]

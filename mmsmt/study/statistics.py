"""Whether networks of a study differ by more than their seeds."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import stats


class Noise(NamedTuple):
    """What is left of scores without the means of networks and seeds.

    Args:
        deviation: Standard deviation of one score.
        freedom: Its degrees of freedom.
    """

    deviation: float
    freedom: int


class Comparison(NamedTuple):
    """Two neighbours in a ranking; `p` is two-sided, and adjusted for the number of pairs."""

    better: str
    worse: str
    difference: float
    p: float


def estimate_noise(scores: Mapping[str, Sequence[float]]) -> Noise:
    """Estimate the noise of a score by a two-way analysis of variance without interaction.

    Args:
        scores: Scores of at least two networks, in the same order of at least two seeds.
    """
    table = np.array(list(scores.values()))
    rest = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return Noise(float(np.sqrt((rest**2).sum() / freedom)), freedom)


def compare_neighbours(scores: Mapping[str, Sequence[float]], noise: Noise) -> list[Comparison]:
    """Compare every network with the next one in the ranking, paired by seed.

    With the noise of two networks alone this is the paired t-test. The p-values are adjusted by
    Holm's method.

    Args:
        scores: Scores of every network, in the same order of seeds.
        noise: Noise of a score, of as many networks as there are: three differences of two networks
            alone say little.
    """
    means = {label: float(np.mean(values)) for label, values in scores.items()}
    ranking = sorted(means, key=lambda label: -means[label])
    seeds = len(next(iter(scores.values())))
    pairs = list(pairwise(ranking))
    differences = [means[a] - means[b] for a, b in pairs]
    error = noise.deviation * np.sqrt(2 / seeds)
    plain = [2 * float(stats.t.sf(d / error, noise.freedom)) if error else 0.0 for d in differences]
    adjusted, largest = dict[int, float](), 0.0
    for position, index in enumerate(sorted(range(len(plain)), key=lambda i: plain[i])):
        largest = max(largest, min(1.0, plain[index] * (len(plain) - position)))
        adjusted[index] = largest
    return [
        Comparison(better, worse, difference, adjusted[i])
        for i, ((better, worse), difference) in enumerate(zip(pairs, differences, strict=True))
    ]

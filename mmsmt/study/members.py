"""Results of a study by network, from the records of its runs."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

# Main results of the hosts' evaluators, and their names in tables; all in per cent.
MAIN = {
    'coco/bbox_mAP': ('box AP', 100),
    'mIoU': ('mIoU', 1),
    'accuracy/top1': ('top-1', 1),
}


class Member(NamedTuple):
    """A network in a study, with its costs; scores are top-1 accuracies in per cent.

    Args:
        label: Name of the network.
        records: Its records, in the order of the seeds.
        params: Parameters.
        macs: Multiply-accumulates for one image.
        forward: Milliseconds per image in inference.
        step: Milliseconds per image in training.
    """

    label: str
    records: Sequence[dict[str, Any]]
    params: int
    macs: int
    forward: float
    step: float

    @property
    def scores(self) -> list[float]:
        """Return the accuracy of every seed."""
        return [record['top1'] for record in self.records]

    @property
    def mean(self) -> float:
        """Return the mean accuracy."""
        return float(np.mean(self.scores))

    @property
    def field(self) -> dict[str, Any] | None:
        """Return the effective receptive field of stage 3 with the first seed."""
        return next((record['field'] for record in self.records if 'field' in record), None)

    def curve(self, kind: str) -> dict[float, float]:
        """Return the mean accuracy for every strength of a change of the images."""
        found: dict[float, list[float]] = {}
        for record in self.records:
            for row in record['invariance']:
                if row['kind'] == kind:
                    found.setdefault(row['strength'], []).append(100 * row['top1'])
        return {strength: float(np.mean(values)) for strength, values in found.items()}

    def transfer(self, name: str) -> list[float]:
        """Return the main result as a detector or segmenter for every seed, in per cent."""
        results = [record['transfers'][name] for record in self.records]
        key = next(key for key in MAIN if key in results[0])
        return [MAIN[key][1] * result[key] for result in results]


def spread(values: Iterable[float]) -> str:
    """Format a mean, with the standard deviation (n - 1) of several values."""
    values = list(values)
    if len(values) == 1:
        return f'{values[0]:.2f}'
    return f'{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}'

"""The 1,797 handwritten digits bundled with scikit-learn, and their fixed split.

The split does not depend on the seed of a preparation, so that a classifier pre-trained on one
prepared set and a detector evaluated on another never share handwriting between training and
evaluation.

Source of the digits: UCI "Optical Recognition of Handwritten Digits" (test
part), https://doi.org/10.24432/C50P49, CC BY 4.0.
"""

from dataclasses import dataclass

import numpy as np

CLASSES = tuple('0123456789')
SPLITS = ('train', 'val')
NUM_VAL = 500
SPLIT_SEED = 0
MAX_INK = 16  # load_digits counts the inked pixels of a 4x4 block


@dataclass(frozen=True)
class Digits:
    """Samples of one split.

    Attributes:
        images: Ink, shape (N, 8, 8), float32 in [0, 1], 1 = fully inked.
        labels: The digit drawn, shape (N,), int64 in [0, 9].
        sample_ids: Row in `load_digits()`, shape (N,), int64, ascending.
    """

    images: np.ndarray
    labels: np.ndarray
    sample_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def load_split() -> dict[str, Digits]:
    """Load all digits, split by sample and stratified by class.

    Returns:
        `{'train': 1,297 samples, 'val': 500 samples}`; the same on every call.
    """
    # Imported here, so that other data can be checked without the extra `digits`.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = (bunch.images / MAX_INK).astype(np.float32)
    rows = train_test_split(
        np.arange(len(images)), test_size=NUM_VAL, stratify=bunch.target, random_state=SPLIT_SEED
    )
    splits = {split: np.sort(ids) for split, ids in zip(SPLITS, rows)}
    return {split: Digits(images[ids], bunch.target[ids], ids) for split, ids in splits.items()}

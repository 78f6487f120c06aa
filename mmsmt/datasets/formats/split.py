"""Stratified choice of validation images for data without splits."""

from collections import Counter
from collections.abc import Hashable, Mapping, Set
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from mmsmt.errors import UsageError
from mmsmt.text import count

VAL_SHARE = 0.2


class Division(NamedTuple):
    """Names of images in `train` and `val`, and a remark on the choice."""

    parts: dict[str, set[str]]
    remark: str


def divide(labels: Mapping[str, Set[Hashable]], seed: int, where: Path | str) -> Division:
    """Divide images into `train` and `val`.

    Args:
        labels: See `choose_val`.
        seed: Seed of the choice.
        where: Folder of the images, for the message.

    Raises:
        UsageError: If there are too few images.
    """
    chosen, number = choose_val(labels, seed), count(len(labels), 'image')
    if not chosen:
        raise UsageError(f'{where}: {number}, too few to split')
    remark = f'{len(chosen)} of {number} were chosen for validation (seed {seed})'
    return Division({'train': set(labels) - chosen, 'val': chosen}, remark)


def choose_val(
    labels: Mapping[str, Set[Hashable]], seed: int, share: float = VAL_SHARE
) -> set[str]:
    """Choose images for validation.

    Images are grouped by their rarest class, and the same share of every group is chosen, by a hash
    of seed and name. The choice is the same on every machine, and adding images changes it little.

    Args:
        labels: Classes in each image, by its name. An image may have none.
        seed: Another seed gives another choice.
        share: Share of images to choose.

    Returns:
        Names of the chosen images. If a class has only one image, it stays in training.
    """
    frequency = Counter(label for classes in labels.values() for label in classes)
    groups: dict[object, list[str]] = {}
    for name, classes in labels.items():
        rarest = min(classes, key=lambda c: (frequency[c], str(c)), default=None)
        groups.setdefault(rarest, []).append(name)
    chosen: set[str] = set()
    for names in groups.values():
        names.sort(key=lambda name: sha256(f'{seed}:{name}'.encode()).digest())
        least = 1 if len(names) > 1 else 0
        chosen.update(names[: max(round(share * len(names)), least)])
    return chosen

"""Numbers and names of classes: what the model has against what the data have."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config

from mmsmt.checks.data.findings import Finding


def check_num_classes(cfg: Config, number: int, data: str) -> Iterator[Finding]:
    """Compare every `num_classes` of a model with the data.

    Args:
        cfg: Config of a run.
        number: Classes of the data.
        data: Where these were counted.
    """
    parts = {'model': cfg.model, 'data_preprocessor': cfg.get('data_preprocessor')}
    for where, configured in _num_classes(parts, ''):
        if configured != number:
            wrong = f'is {configured}, but {data} has {number} classes'
            yield Finding('error', where, wrong, f'set {where}={number}, or mend the data')


def model_num_classes(cfg: Config) -> int | None:
    """The number of classes that the model says first, None where it says none."""
    return next((number for _, number in _num_classes({'model': cfg.model}, '')), None)


def _num_classes(node: Any, where: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, list | tuple):
        for number, child in enumerate(node):
            yield from _num_classes(child, f'{where}[{number}]')
    if isinstance(node, dict):
        for key, child in node.items():
            place = f'{where}.{key}' if where else key
            if key == 'num_classes' and isinstance(child, int):
                yield place, child
            elif key != 'rpn_head':  # tells objects from background only
                yield from _num_classes(child, place)


def nearest(name: str, names: list[str]) -> str:
    """Say which name was probably meant."""
    # 0.6 is difflib's own cutoff; below the lower letters the case would count as a difference.
    lowered = {other.lower(): other for other in names}
    found = get_close_matches(name.lower(), lowered, n=1)
    if found:
        return f'the nearest there is {lowered[found[0]]!r}'
    return f'there are {", ".join(repr(other) for other in sorted(names)[:6])}'

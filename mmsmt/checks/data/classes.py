"""Check of classes: their number in model and data, and their names in several data sets."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config

from mmsmt.checks.data.datasets import Opened
from mmsmt.checks.data.findings import Finding
from mmsmt.text import some


def count_classes(
    opened: Opened, cfg: Config, classes: Sequence[str] | None
) -> Generator[Finding, None, int | None]:
    """Return the number of classes of the data set, or the first in the model if unknown.

    The number is compared with the model. None if both are unknown.
    """
    if classes is None:
        return next((number for _, number in _num_classes({'model': cfg.model}, '')), None)
    yield from check_num_classes(cfg, len(classes), f'the {opened.title} data set')
    return len(classes)


def check_num_classes(cfg: Config, number: int, data: str) -> Iterator[Finding]:
    """Compare every `num_classes` in a model with the number of classes in `data`."""
    parts = {'model': cfg.model, 'data_preprocessor': cfg.get('data_preprocessor')}
    for where, configured in _num_classes(parts, ''):
        if configured != number:
            wrong = f'is {configured}, but {data} has {number} classes'
            yield Finding('error', where, wrong, f'set {where}={number}, or fix the data')


def _num_classes(node: Any, where: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, list | tuple):
        for number, child in enumerate(node):
            yield from _num_classes(child, f'{where}[{number}]')
    if isinstance(node, dict):
        for key, child in node.items():
            place = f'{where}.{key}' if where else key
            if key == 'num_classes' and isinstance(child, int):
                yield place, child
            elif key != 'rpn_head':  # separates only objects from background
                yield from _num_classes(child, place)


def compare_classes(classes: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Compare the class names of several files or folders, in the order of their labels."""
    paths = list(classes)
    for path in paths[1:]:
        first, names = classes[paths[0]], classes[path]
        if names == first:
            continue
        less = [name for name in first if name not in names]
        more = [name for name in names if name not in first]
        parts = [f'without {some(less)}'] * bool(less) + [f'with {some(more)}'] * bool(more)
        how = ', '.join(parts) or 'in another order'
        wrong = f'classes differ from {paths[0]}: {how}'
        right = 'labels are indices of the classes, so all splits need the same'
        yield Finding('error', path, wrong, right)

"""Data sets inside wrappers that repeat, join or mix them, and their configs."""

from collections.abc import Iterator
from typing import Any


def inner_datasets(dataset: Any) -> Iterator[Any]:
    """Yield the data sets that read files; the data set itself where it wraps none."""
    # `_dataset`: mmengine cuts a data set to `num_batch_per_epoch`.
    single = getattr(dataset, 'dataset', None) or getattr(dataset, '_dataset', None)
    inner = getattr(dataset, 'datasets', None) or ([single] if single else [])
    for child in inner:
        yield from inner_datasets(child)
    if not inner:
        yield dataset


def innermost_config(dataset: Any) -> Any:
    """The entry of a config inside those of wrappers; of several joined data sets the first."""
    inner = dataset.get('dataset') or next(iter(dataset.get('datasets') or ()), None)
    return dataset if inner is None else innermost_config(inner)

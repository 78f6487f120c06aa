"""Access to data sets, and their configs, inside wrappers that repeat, concatenate or mix them."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config


def inner_datasets(dataset: Any) -> Iterator[Any]:
    """Yield the data sets that read files; the data set itself if it wraps none."""
    # `_dataset`: from mmengine's wrapper for `num_batch_per_epoch`.
    single = getattr(dataset, 'dataset', None) or getattr(dataset, '_dataset', None)
    inner = getattr(dataset, 'datasets', None) or ([single] if single else [])
    for child in inner:
        yield from inner_datasets(child)
    if not inner:
        yield dataset


def innermost_config(dataset: Any) -> Any:
    """Return the config inside those of wrappers; the first of several concatenated data sets."""
    inner = dataset.get('dataset') or next(iter(dataset.get('datasets') or ()), None)
    return dataset if inner is None else innermost_config(inner)


def entry_with_pipeline(entry: Any) -> Any:
    """Return the outermost config with a pipeline, from a loader or a data set inwards.

    If none has a pipeline, returns the innermost config.
    """
    while isinstance(entry, Mapping) and 'pipeline' not in entry:
        inner = entry.get('dataset') or entry.get('datasets')
        if inner is None:
            break
        entry = inner
        while isinstance(entry, list | tuple) and entry:
            entry = entry[0]
    return entry


def test_dataset(cfg: Config) -> Any:
    """Return the config of the test data set, inside its wrappers; None if there is none."""
    entry = entry_with_pipeline(cfg.get('test_dataloader') or cfg.get('val_dataloader'))
    return entry if isinstance(entry, Mapping) and 'type' in entry else None

"""Data sets of a config, built by the host without reading any data."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS

from mmsmt.checks.data.findings import Finding

SPLITS = ('train', 'val', 'test')
BUILD_ERRORS = (ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError)


class Opened(NamedTuple):
    """A data set of a config."""

    splits: list[str]  # loaders that use it: 'train', 'val', 'test'
    config: dict[str, Any]  # its entry in the config
    dataset: Any  # the host's object, which knows all paths and class names

    @property
    def title(self) -> str:
        """Return its splits for display, such as 'val, test'."""
        return ', '.join(self.splits)

    @property
    def reader(self) -> str:
        """Return the host's class whose `load_data_list` reads the files, perhaps a base class."""
        method = getattr(type(self.dataset), 'load_data_list', None)
        return method.__qualname__.partition('.')[0] if method else ''

    @property
    def path(self) -> str:
        """Return its annotation file, or its first folder if it has none."""
        return self.dataset.ann_file or next(iter(self.dataset.data_prefix.values()))


def open_datasets(cfg: Config) -> tuple[list[Opened], list[Finding]]:
    """Build every data set of a config without reading data, including wrapped ones.

    Returns:
        The data sets, each once even if several loaders use it, and those that cannot be built.
    """
    opened: dict[tuple, Opened] = {}
    troubles = []
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        if 'dataset' not in loader:
            troubles.append(Finding('error', f'{split}_dataloader', 'has no `dataset`'))
            continue
        for where, config in _unwrap(loader['dataset'], f'{split}_dataloader.dataset'):
            try:
                # The pipeline has no data paths, and may need what exists only in training.
                with DATASETS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
                    dataset = registry.build({**config, 'pipeline': [], 'lazy_init': True})
            except BUILD_ERRORS as error:
                reason = f'{type(error).__name__}: {error}'
                troubles.append(Finding('error', where, 'cannot be built', reason))
                continue
            paths = str(getattr(dataset, 'data_prefix', {})), getattr(dataset, 'ann_file', '')
            new = Opened([], config, dataset)
            splits = opened.setdefault((type(dataset), *paths), new).splits
            if split not in splits:
                splits.append(split)
    return list(opened.values()), troubles


def _unwrap(config: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield position and config of the data sets inside RepeatDataset, ConcatDataset and so on."""
    if isinstance(config.get('datasets'), list | tuple):
        for number, child in enumerate(config['datasets']):
            yield from _unwrap(child, f'{where}.datasets[{number}]')
    elif isinstance(config.get('dataset'), dict):
        yield from _unwrap(config['dataset'], f'{where}.dataset')
    else:
        yield where, config


def find_places(cfg: Config) -> tuple[list[str], list[str]]:
    """Return the files and folders that training and validation read, by whether they exist.

    Returns:
        The existing ones, and the missing ones.
    """
    opened, _ = open_datasets(Config({k: v for k, v in cfg.items() if k != 'test_dataloader'}))
    places: dict[str, bool] = {}
    for one in opened:
        paths = [getattr(one.dataset, 'ann_file', '')]
        paths += getattr(one.dataset, 'data_prefix', {}).values()
        places |= {path: os.path.exists(path) for path in paths if isinstance(path, str) and path}
    return [p for p, is_there in places.items() if is_there], [p for p in places if not places[p]]

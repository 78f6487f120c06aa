"""From a config to its data sets, built by the host but with nothing read."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS

from mmsmt.checks.data.findings import Finding

SPLITS = ('train', 'val', 'test')
BUILD_ERRORS = (ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError)


class Opened(NamedTuple):
    """One data set of a config.

    Args:
        splits: Loaders that read it, of 'train', 'val', 'test'.
        config: Its entry in the config.
        dataset: The host's object, which knows all paths and class names.
    """

    splits: list[str]
    config: dict[str, Any]
    dataset: Any

    @property
    def title(self) -> str:
        """For people, such as 'val, test'."""
        return ', '.join(self.splits)

    @property
    def reader(self) -> str:
        """The host's class whose `load_data_list` reads the files; children may have their own."""
        method = getattr(type(self.dataset), 'load_data_list', None)
        return method.__qualname__.partition('.')[0] if method else ''

    @property
    def path(self) -> str:
        """Its annotation file, or its first folder where it has none."""
        return self.dataset.ann_file or next(iter(self.dataset.data_prefix.values()))

    @property
    def files(self) -> tuple[Any, ...]:
        """What tells it from other data sets."""
        paths = getattr(self.dataset, 'data_prefix', {})
        return type(self.dataset), getattr(self.dataset, 'ann_file', ''), str(paths)


def open_datasets(cfg: Config) -> tuple[list[Opened], list[Finding]]:
    """Build every data set of a config without reading data, wrapped ones too.

    Args:
        cfg: Config of a run of mmpretrain, mmdet or mmseg.

    Returns:
        The data sets, each once even if several loaders read it, and what could not be built.
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
        for where, config in unwrap(loader['dataset'], f'{split}_dataloader.dataset'):
            try:
                dataset = _build(config, cfg.get('default_scope'))
            except BUILD_ERRORS as error:
                reason = f'{type(error).__name__}: {error}'
                troubles.append(Finding('error', where, 'cannot be built', reason))
                continue
            new = Opened([], config, dataset)
            splits = opened.setdefault(new.files, new).splits
            if split not in splits:
                splits.append(split)
    return list(opened.values()), troubles


def unwrap(config: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the data sets that read files inside RepeatDataset, ConcatDataset and the like.

    Args:
        config: Entry of a data set.
        where: Its place in the config.

    Yields:
        Place and entry of each.
    """
    if isinstance(config.get('datasets'), list | tuple):
        for number, child in enumerate(config['datasets']):
            yield from unwrap(child, f'{where}.datasets[{number}]')
    elif isinstance(config.get('dataset'), dict):
        yield from unwrap(config['dataset'], f'{where}.dataset')
    else:
        yield where, config


def _build(config: dict[str, Any], scope: str | None) -> Any:
    # A pipeline has no paths of the data, and may need what only a training has.
    with DATASETS.switch_scope_and_registry(scope) as registry:
        return registry.build({**config, 'pipeline': [], 'lazy_init': True})

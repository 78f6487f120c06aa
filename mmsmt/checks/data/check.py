"""All checks of all data sets in a config."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmengine.config import Config

from mmsmt.checks.config import check_loaders
from mmsmt.checks.data.classes import compare_classes
from mmsmt.checks.data.coco import check_coco
from mmsmt.checks.data.datasets import SPLITS, Opened, open_datasets
from mmsmt.checks.data.findings import Check, Finding
from mmsmt.checks.data.folders import check_folders
from mmsmt.checks.data.images import Opener
from mmsmt.checks.data.labels import check_labels
from mmsmt.checks.data.places import check_places

# By the host's class that reads the files.
CHECKS: dict[str, Callable[[Opened, Config, Opener], Check]] = {
    'CocoDataset': check_coco,
    'BaseSegDataset': check_labels,
    'CustomDataset': check_folders,
}


def check_data(cfg: Config, opener: Opener | None = None) -> Iterator[Finding]:
    """Find what is missing, misplaced or damaged in the data of a config.

    Args:
        cfg: Training config of mmpretrain, mmdet or mmseg.
        opener: Selects the images to open; a sample of each data set by default.

    Yields:
        Findings, each once.
    """
    said = set()
    for finding in _check_all(cfg, opener or Opener()):
        if finding not in said:
            said.add(finding)
            yield finding


def _check_all(cfg: Config, opener: Opener) -> Iterator[Finding]:
    faults = check_loaders(cfg)
    for fault in faults:
        yield Finding('error', fault.key, fault.wrong, fault.right)
    opened, troubles = open_datasets(cfg)
    keys = [fault.key.partition('.pipeline')[0] for fault in faults]
    for trouble in troubles:  # an error in the entry explains why it cannot be built
        if not any(key.startswith(f'{trouble.where}.') for key in keys):
            yield trouble
    if not opened and not troubles:
        loaders = ', '.join(f'{split}_dataloader' for split in SPLITS)
        yield Finding('error', 'config', f'has no {loaders}')
    classes: dict[str, list[str]] = {}
    for one in opened:
        names = yield from CHECKS.get(one.reader, _check_places_only)(one, cfg, opener)
        if names:
            classes[one.path] = names
    yield from compare_classes(classes)
    yield from _check_evaluators(cfg, opened)


def _check_places_only(opened: Opened, cfg: Config, opener: Opener) -> Check:
    """Check only that files and folders exist, for data sets without a check of their contents."""
    dataset = opened.dataset
    folders = filter(None, getattr(dataset, 'data_prefix', {}).values())
    file = getattr(dataset, 'ann_file', '')
    yield from check_places(dict.fromkeys(folders, 'folder') | ({file: 'file'} if file else {}))
    wrong = f'contents of {type(dataset).__name__} are not checked'
    right = 'checks exist for ' + ', '.join(CHECKS)
    yield Finding('warning', f'{opened.title} data set', wrong, right)
    return []


def _check_evaluators(cfg: Config, opened: Sequence[Opened]) -> Iterator[Finding]:
    """Check that evaluators use the annotations of the data set that they evaluate."""
    for split in ('val', 'test'):
        files = [one.dataset.ann_file for one in opened if split in one.splits]
        files = [os.path.normpath(path) for path in files if path]
        evaluators = cfg.get(f'{split}_evaluator') or []
        for evaluator in evaluators if isinstance(evaluators, list | tuple) else [evaluators]:
            path = evaluator.get('ann_file')
            if path and files and os.path.normpath(path) not in files:
                wrong = f'is {path}, but the data set reads {", ".join(files)}'
                yield Finding('error', f'{split}_evaluator.ann_file', wrong, 'use the same file')


def explain_loader(cfg: Config, dataloader: Any) -> str | None:
    """Explain what is wrong with the files of a data loader that cannot be built, if anything."""
    split = next((s for s in SPLITS if cfg.get(f'{s}_dataloader') == dataloader), 'train')
    content = {'model': cfg.model, 'default_scope': cfg.get('default_scope')}
    found = check_data(Config({**content, f'{split}_dataloader': dataloader}))
    wrong = next((finding for finding in found if finding.level == 'error'), None)
    return str(wrong).partition('error: ')[2] if wrong else None

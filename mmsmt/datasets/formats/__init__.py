"""Formats of data sets: which one a folder has, its classes and splits, and files for the hosts."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mmsmt.datasets.formats import coco, folders, labels, voc, yolo
from mmsmt.datasets.formats.found import Found, Split
from mmsmt.errors import UsageError

__all__ = ['FORMATS', 'Found', 'Split', 'recognise']

# By task, in the order in which they are tried.
FORMATS: dict[str, tuple[ModuleType, ...]] = {
    'cls': (folders,),
    'det': (coco, voc, yolo),
    'seg': (labels,),
}


def recognise(task: str, root: Path, seed: int = 0, unlabelled: int | None = None) -> Found:
    """Find out what a folder of data holds; nothing is written.

    Args:
        task: 'cls', 'det' or 'seg'.
        root: The folder.
        seed: Of the choice of validation images, where the data have none. Default 0.
        unlabelled: Value of label images that stands for no class. Default: found, where it can.

    Raises:
        UsageError: If it is in no known format, or something in it is missing or damaged.
    """
    if not root.is_dir():
        raise UsageError(f'{root}: no such folder')
    options: dict[str, Any] = {'unlabelled': unlabelled} if task == 'seg' else {}
    if unlabelled is not None and task != 'seg':
        raise UsageError('--unlabelled is of label images, that is of seg')
    for reader in FORMATS[task]:
        read: Callable[..., Found | None] = reader.recognise
        if (found := read(root, seed, **options)) is not None:
            return found
    layouts = '; or '.join(reader.LAYOUT for reader in FORMATS[task])
    raise UsageError(f'{root}: holds no data for {task} in a known format: {layouts}')

"""Formats of data sets: detection of the format, its classes and splits, files for the hosts."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mmsmt.datasets.formats import coco, folders, labels, voc, yolo
from mmsmt.datasets.formats.found import Found, Split
from mmsmt.errors import UsageError

__all__ = ['FORMATS', 'Found', 'Split', 'recognise']

# By task, in the order of checking.
FORMATS: dict[str, tuple[ModuleType, ...]] = {
    'cls': (folders,),
    'det': (coco, voc, yolo),
    'seg': (labels,),
}


def recognise(task: str, root: Path, seed: int = 0, unlabelled: int | None = None) -> Found:
    """Detect the format and content of a data folder; nothing is written.

    Args:
        task: `cls`, `det` or `seg`.
        root: The data folder.
        seed: Seed for choosing validation images, if the data have none.
        unlabelled: Value of unlabelled pixels in label images; detected by default, if possible.

    Raises:
        UsageError: If the format is unknown, or something in it is missing or damaged.
    """
    if not root.is_dir():
        raise UsageError(f'{root}: no such folder')
    options: dict[str, Any] = {'unlabelled': unlabelled} if task == 'seg' else {}
    if unlabelled is not None and task != 'seg':
        raise UsageError('--unlabelled only applies to label images (task seg)')
    for reader in FORMATS[task]:
        read: Callable[..., Found | None] = reader.recognise
        if (found := read(root, seed, **options)) is not None:
            return found
    layouts = '; or '.join(reader.LAYOUT for reader in FORMATS[task])
    raise UsageError(f'{root}: no {task} data in a known format: {layouts}')

"""Description of a data set found in a folder, and collection of its faults."""

import re
from collections.abc import Iterable
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

from PIL import Image

from mmsmt.datasets.image_files import DAMAGE, describe, seen_size
from mmsmt.errors import UsageError
from mmsmt.text import count, some

SPLITS = ('train', 'val', 'test')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
# Folders that this package writes into the data folder.
COCO_FOLDER, LIST_FOLDER, LABEL_FOLDER = 'mmsmt_coco', 'mmsmt_split', 'mmsmt_labels'
OWN = (COCO_FOLDER, LIST_FOLDER, LABEL_FOLDER)
# COCO 2017 itself has single wrong boxes; a bug in writing hits more than 1 % of the boxes.
TOLERATED = 0.01
Size = tuple[int, int]  # width and height in pixels


class Split(NamedTuple):
    """A split of a data set; paths are relative to the data folder, with `/`.

    Args:
        images: Folder of the images.
        number: Number of images.
        annotations: COCO file, or folder of label images; empty if folders define the classes.
        names: File that lists the images of this split; empty if it is the whole folder.
    """

    images: str
    number: int
    annotations: str = ''
    names: str = ''


class Found(NamedTuple):
    """A data set in the form that a host's config needs.

    Args:
        format: Name of the format for display, such as `PASCAL VOC`.
        classes: Names in the order of their labels.
        splits: By `train`, `val` and, if there is one, `test`.
        size: Typical width and height of the images in pixels.
        files: Files to write first, by path relative to the folder.
        remarks: Remarks for the user, one line each.
        masks: Whether every object has a mask.
        suffixes: Suffixes of images and label images.
        reduce_zero_label: Whether 0 means unlabelled in label images.
        palette: A colour for each class, if the data have them.
    """

    format: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    size: Size
    files: dict[str, bytes]
    remarks: tuple[str, ...] = ()
    masks: bool = False
    suffixes: tuple[str, str] = ('.jpg', '.png')
    reduce_zero_label: bool = False
    palette: tuple[tuple[int, int, int], ...] = ()


class Faults:
    """Faults of files, reported together in one line.

    Args:
        advice: End of the line.
    """

    def __init__(self, advice: str = '') -> None:
        self.found: list[str] = []
        self.advice = advice

    def add(self, path: Path | str, wrong: str, line: int = 0) -> None:
        """Add a fault of a file, with its line number if known."""
        self.found.append(f'{path}{f":{line}" if line else ""}: {wrong}')

    def stop(self) -> None:
        """Raise if there are any faults.

        Raises:
            UsageError: With the first faults and the number of the others.
        """
        if self.found:
            advice = f'; {self.advice}' if self.advice else ''
            raise UsageError(' '.join(f'{some(self.found)}{advice}'.split()))


def split_of(name: str) -> str | None:
    """Return the split that a file or folder name stands for: `val` for `instances_val2017`."""
    words = re.split(r'[^a-z]+', name.lower())
    for word in words:
        for split, known in (
            ('train', ('train', 'training', 'trn')),
            ('val', ('val', 'valid', 'validation', 'dev')),
            ('test', ('test', 'testing', 'tst')),
        ):
            if word in known:
                return split
    return None


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, except hidden ones and those of this package."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        p for p in inside if p.is_dir() and not p.name.startswith('.') and p.name not in OWN
    )


def images_in(folder: Path) -> list[Path]:
    """Return the images directly in a folder, sorted."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(p for p in inside if p.suffix.lower() in SUFFIXES and not p.name.startswith('.'))


def by_split(folders: Iterable[Path]) -> dict[str, Path]:
    """Return folders by the split that their names stand for, in the order of `SPLITS`.

    Raises:
        UsageError: If two stand for the same split.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if (split := split_of(folder.name)) is not None:
            if split in found:
                raise UsageError(
                    f'{found[split]} and {folder} are both the split {split}: move one away'
                )
            found[split] = folder
    return {split: found[split] for split in SPLITS if split in found}


def size_of(path: Path, faults: Faults, noun: str = 'image') -> Size | None:
    """Return width and height of an image as read by the hosts; None, and a fault, on error."""
    try:
        with Image.open(path) as image:
            return seen_size(image)
    except FileNotFoundError:
        faults.add(path, f'no such {noun}')
    except DAMAGE as error:
        faults.add(path, describe(error, str(path)))
    return None


def typical(sizes: Iterable[Size]) -> Size:
    """Return the median width and height."""
    sizes = list(sizes)
    return median_low(w for w, _ in sizes), median_low(h for _, h in sizes)


def require_names(classes: Iterable[str], where: Path | str) -> tuple[str, ...]:
    """Raise unless there are names of classes without duplicates.

    Raises:
        UsageError: If there are none or duplicates.
    """
    names = tuple(classes)
    if not names:
        raise UsageError(f'{where}: no class names in it')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'{where}: {count(len(twice), "class")} named twice: {some(twice)}')
    return names


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return the non-empty lines of a text file, with their line numbers from 1.

    Raises:
        UsageError: If it is not a text file.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f'{path}: cannot be read as text ({error})') from error
    lines = enumerate(text.splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_class_list(root: Path) -> tuple[tuple[str, ...], Path] | None:
    """Read the classes in `classes.txt` or a similar file, one per line; also return the file."""
    for name in ('classes.txt', 'obj.names', 'labels.txt', 'class_names.txt'):
        if (path := root / name).is_file():
            return require_names((line for _, line in read_lines(path)), path), path
    return None

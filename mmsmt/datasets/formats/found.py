"""What a format tells of a folder of data, and the words for what is wrong in it."""

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
# Folders that this package writes next to the data.
COCO_FOLDER, LIST_FOLDER, LABEL_FOLDER = 'mmsmt_coco', 'mmsmt_split', 'mmsmt_labels'
OWN = (COCO_FOLDER, LIST_FOLDER, LABEL_FOLDER)
# Faults of annotators are in COCO 2017 itself; a mistake in writing hits more than a box in 100.
TOLERATED = 0.01
Size = tuple[int, int]  # width and height in pixels


class Split(NamedTuple):
    """One part of a data set; paths are relative to its folder, with `/`.

    Args:
        images: Folder of the images.
        number: Of images.
        annotations: COCO file, or folder of label images; empty where folders tell the class.
        names: File that lists the images of this split; empty where it is the whole folder.
    """

    images: str
    number: int
    annotations: str = ''
    names: str = ''


class Found(NamedTuple):
    """A data set as a config of a host can name it.

    Args:
        format: For people, such as 'PASCAL VOC'.
        classes: Names in the order of their labels.
        splits: By 'train', 'val' and, where there is one, 'test'.
        size: Typical width and height of the images in pixels.
        files: What has to be written first, by path relative to the folder.
        remarks: What a person should know, one line each.
        masks: Whether every object has a mask.
        suffixes: Of images and label images.
        reduce_zero_label: Whether label images hold 0 for what is not labelled.
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
    """Faults of files, told together in one line.

    Args:
        advice: Ends the line.
    """

    def __init__(self, advice: str = '') -> None:
        self.found: list[str] = []
        self.advice = advice

    def add(self, path: Path | str, wrong: str, line: int = 0) -> None:
        """Note a fault of a file, with the number of the line if that is known."""
        self.found.append(f'{path}{f":{line}" if line else ""}: {wrong}')

    def stop(self) -> None:
        """Stop if there is a fault.

        Raises:
            UsageError: Tells the first faults and how many more there are.
        """
        if self.found:
            advice = f'; {self.advice}' if self.advice else ''
            raise UsageError(' '.join(f'{some(self.found)}{advice}'.split()))


def split_of(name: str) -> str | None:
    """The split that a file or folder is named after: 'val' for `valid`, `instances_val2017`."""
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
    """Folders in a folder, sorted, without hidden ones and those that this package writes."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        p for p in inside if p.is_dir() and not p.name.startswith('.') and p.name not in OWN
    )


def images_in(folder: Path) -> list[Path]:
    """Images directly in a folder, sorted."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(p for p in inside if p.suffix.lower() in SUFFIXES and not p.name.startswith('.'))


def by_split(folders: Iterable[Path]) -> dict[str, Path]:
    """Folders by the split that they are named after, in the order of `SPLITS`.

    Raises:
        UsageError: If two are of one split.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if (split := split_of(folder.name)) is not None:
            if split in found:
                raise UsageError(
                    f'{found[split]} and {folder} are both of the split {split}: move one away'
                )
            found[split] = folder
    return {split: found[split] for split in SPLITS if split in found}


def size_of(path: Path, faults: Faults, noun: str = 'image') -> Size | None:
    """Width and height of an image as the hosts see it; None, and a fault, if unreadable."""
    try:
        with Image.open(path) as image:
            return seen_size(image)
    except FileNotFoundError:
        faults.add(path, f'no such {noun}')
    except DAMAGE as error:
        faults.add(path, describe(error, str(path)))
    return None


def typical(sizes: Iterable[Size]) -> Size:
    """Median width and height."""
    sizes = list(sizes)
    return median_low(w for w, _ in sizes), median_low(h for _, h in sizes)


def require_names(classes: Iterable[str], where: Path | str) -> tuple[str, ...]:
    """Refuse names of classes that are given twice, or none at all.

    Raises:
        UsageError: If they are.
    """
    names = tuple(classes)
    if not names:
        raise UsageError(f'{where}: names no class')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'{where}: {count(len(twice), "class")} named twice: {some(twice)}')
    return names


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Lines of a text file that are not empty, with their numbers from 1.

    Raises:
        UsageError: If it is no text.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f'{path}: cannot be read as text ({error})') from error
    lines = enumerate(text.splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def read_class_list(root: Path) -> tuple[tuple[str, ...], Path] | None:
    """Classes of `classes.txt` or a file of a similar name, one a line, and the file."""
    for name in ('classes.txt', 'obj.names', 'labels.txt', 'class_names.txt'):
        if (path := root / name).is_file():
            return require_names((line for _, line in read_lines(path)), path), path
    return None

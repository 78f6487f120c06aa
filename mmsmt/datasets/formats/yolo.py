"""YOLO: one text file per image, lines `CLASS X Y WIDTH HEIGHT` or `CLASS X1 Y1 X2 Y2 ...`."""

from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from mmsmt.datasets.formats.boxes import Instance, Record, build_found
from mmsmt.datasets.formats.found import (
    Faults,
    Found,
    Size,
    by_split,
    images_in,
    read_class_list,
    read_lines,
    require_names,
    size_of,
    subfolders,
)
from mmsmt.errors import UsageError

LAYOUT = (
    'images/SPLIT/NAME.jpg with labels/SPLIT/NAME.txt, or SPLIT/images and SPLIT/labels, and '
    'data.yaml or classes.txt (YOLO)'
)
FORM = 'a line is CLASS X Y WIDTH HEIGHT relative to the image, or CLASS and the points of a mask'


def recognise(root: Path, seed: int = 0) -> Found | None:
    """Read a folder in YOLO format; None if it is in another format.

    An image without a text file has no objects. Lines with polygon points become masks.

    Raises:
        UsageError: If files are missing, damaged, or contradict each other.
    """
    pairs = _pairs(root)
    if not pairs:
        return None
    classes, source = _classes(root)
    faults = Faults(FORM)
    records = {}
    for split, (images, labels) in pairs.items():
        files = images_in(images)
        stems = {file.stem for file in files}
        for path in sorted(labels.glob('*.txt')):
            if path.stem not in stems and path.name != source.name:
                faults.add(path, f'has no image in {images}')
        group = []
        for file in files:
            size = size_of(file, faults)
            path = labels / f'{file.stem}.txt'
            found = []
            for number, line in read_lines(path) if path.is_file() else []:
                try:
                    found.append(_read_line(line, size or (1, 1), classes, f'{path}:{number}'))
                except ValueError as error:
                    faults.add(path, str(error), number)
            group.append(Record(file.name, size or (1, 1), found))
        records[split] = images.relative_to(root).as_posix(), group
    faults.stop()
    return build_found('YOLO', classes, records, seed)


def _pairs(root: Path) -> dict[str, tuple[Path, Path]]:
    """Return the folders of images and of text files by split, '' without splits."""
    images, labels = root / 'images', root / 'labels'
    if images.is_dir() and _has_text(labels):
        inside = by_split(subfolders(images))
        if inside and not images_in(images):
            return {split: (path, labels / path.name) for split, path in inside.items()}
        return {'': (images, labels)}
    inside = by_split(subfolders(root))
    if inside and all(_has_text(path / 'labels') for path in inside.values()):
        return {split: (path / 'images', path / 'labels') for split, path in inside.items()}
    return {}


def _has_text(folder: Path) -> bool:
    return folder.is_dir() and any(folder.rglob('*.txt'))


def _classes(root: Path) -> tuple[tuple[str, ...], Path]:
    """Return the names of the classes, and the file that defines them.

    Raises:
        UsageError: If there is none, or it cannot be read.
    """
    for path in sorted([*root.glob('*.yaml'), *root.glob('*.yml')]):
        try:
            content: Any = yaml.safe_load(path.read_text(encoding='utf-8'))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            reason = ' '.join(str(error).split())
            raise UsageError(f'{path}: not valid YAML ({reason})') from error
        names = content.get('names') if isinstance(content, dict) else None
        if isinstance(names, dict):
            if sorted(names) != list(range(len(names))):
                raise UsageError(f'{path}: `names` must count from 0, it has {sorted(names)}')
            names = [names[number] for number in range(len(names))]
        if names is not None:
            if not isinstance(names, list):
                raise UsageError(f'{path}: `names` must be a list, got {names!r}')
            number = content.get('nc', len(names))
            if number != len(names):
                raise UsageError(f'{path}: `nc` is {number}, but `names` has {len(names)}')
            return require_names(map(str, names), path), path
    for folder in (root, root / 'labels'):
        if given := read_class_list(folder):
            return given
    raise UsageError(f'{root}: no data.yaml with `names`, and no classes.txt')


def _read_line(line: str, size: Size, classes: tuple[str, ...], where: str) -> Instance:
    """Parse the object in a line.

    Raises:
        ValueError: If the line cannot be used.
    """
    words = line.split()
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        raise ValueError(f'{len(words)} values')
    try:
        label, shares = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        raise ValueError(f'{line!r:.60} is not numbers') from None
    if not all(map(isfinite, shares)):
        raise ValueError(f'{line!r:.60} is not numbers')
    if not 0 <= label < len(classes):
        raise ValueError(f'class {label}, but the {len(classes)} are 0 to {len(classes) - 1}')
    if max(shares) > 2:
        raise ValueError(f'{line!r:.60} is in pixels, not relative to the image')
    width, height = size
    if len(shares) == 4:
        x, y, w, h = shares
        box = (x - w / 2) * width, (y - h / 2) * height, w * width, h * height
        return Instance(label, box, where)
    xs, ys = [x * width for x in shares[::2]], [y * height for y in shares[1::2]]
    box = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    return Instance(label, box, where, polygon=tuple(v for point in zip(xs, ys) for v in point))

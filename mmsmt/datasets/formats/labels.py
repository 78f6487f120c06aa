"""Label images: one value or colour per pixel for its class."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmsmt.datasets.formats.found import (
    LABEL_FOLDER,
    LIST_FOLDER,
    SPLITS,
    Faults,
    Found,
    Size,
    Split,
    size_of,
    typical,
)
from mmsmt.datasets.formats.label_places import Pairs, find_pairs
from mmsmt.datasets.formats.label_values import IGNORED, Colour, Meaning, read_classes, understand
from mmsmt.datasets.formats.split import divide
from mmsmt.datasets.image_files import DAMAGE, describe
from mmsmt.errors import UsageError
from mmsmt.text import some

COLOURED = ('RGB', 'RGBA')
LAYOUT = (
    'images/SPLIT/NAME.jpg with labels/SPLIT/NAME.png, SPLIT/images with SPLIT/labels, or '
    'SPLIT/NAME.png with SPLITannot/NAME.png, and classes.txt (label images)'
)


def recognise(root: Path, seed: int = 0, unlabelled: int | None = None) -> Found | None:
    """Read images with label images; None if there are none.

    Classes come from a list, `classes.txt` with lines `NAME` or `NAME R G B`; otherwise there are
    as many as values. Label images in colours, or with another unlabelled value than 0 and 255, are
    rewritten as values.

    Args:
        root: The data folder.
        seed: Seed for choosing validation images, if the data have no splits.
        unlabelled: Value of unlabelled pixels, if the list of classes does not define it.

    Raises:
        UsageError: If files are missing, damaged, or contradict each other.
    """
    faults = Faults()
    pairs = find_pairs(root, faults)
    if not pairs:
        return None
    faults.stop()
    names, colours = read_classes(root)
    present: dict[Path, set[int]] = {}
    sizes: list[Size] = []
    palette: tuple[Colour, ...] = ()
    for split in pairs.values():
        for name in split.names:
            image, path = (
                folder / f'{name}{suffix}'
                for folder, suffix in zip((split.images, split.labels), split.suffixes)
            )
            size = size_of(image, faults)
            try:
                values, shown = read_labels(path, colours)
            except ValueError as error:
                faults.add(path, str(error))
                continue
            if size is None:
                continue
            present[path] = {int(value) for value in np.unique(values)}
            palette = palette or shown
            sizes.append(size)
            if values.shape != size[::-1]:
                seen = f'{values.shape[1]}x{values.shape[0]}'
                faults.add(path, f'is {seen} pixels, its image {image} {size[0]}x{size[1]}')
    faults.stop()
    meaning = understand(root, names, colours, present, unlabelled, palette)
    files: dict[str, bytes] = {}
    if meaning.table is not None or is_in_colours(next(iter(present))):
        table = meaning.table or {v: v for v in range(256)}
        for part, pair in pairs.items():
            for name in pair.names:
                path = pair.labels / f'{name}{pair.suffixes[1]}'
                target = '/'.join(filter(None, (LABEL_FOLDER, part, f'{name}.png')))
                files[target] = _to_png(read_labels(path, colours)[0], table)
    return _found(root, pairs, meaning, present, files, typical(sizes), seed)


def _found(
    root: Path,
    pairs: dict[str, Pairs],
    meaning: Meaning,
    present: dict[Path, set[int]],
    files: dict[str, bytes],
    size: Size,
    seed: int,
) -> Found:
    """Return the data set for a config, split if necessary."""
    splits, remarks = {}, []
    converted = bool(files)
    if converted:
        remarks.append(f'label images were rewritten as values in {LABEL_FOLDER}')
    for split, pair in pairs.items():
        labels = pair.labels.relative_to(root).as_posix()
        if converted:
            labels = '/'.join(filter(None, (LABEL_FOLDER, split)))
        listed = pair.listed.relative_to(root).as_posix() if pair.listed else ''
        images = pair.images.relative_to(root).as_posix()
        splits[split] = Split(images, len(pair.names), labels, listed)
    suffixes = {pair.suffixes for pair in pairs.values()}
    if len(suffixes) > 1:
        raise UsageError(
            f'{root}: splits have files with different suffixes: {some(sorted(suffixes))}'
        )
    whole = 'train' if 'train' in splits else ''
    if whole not in splits:
        raise UsageError(f'{root}: no train split, only {", ".join(splits)}')
    if 'val' not in splits:
        previous, pair = splits.pop(whole), pairs[whole]
        ending = pair.suffixes[1]
        labels_of = {n: present[pair.labels / (n + ending)] for n in pair.names}
        divided, said = divide(labels_of, seed, pair.images)
        remarks.append(said)
        for split, chosen in divided.items():
            names = [name for name in pair.names if name in chosen]
            path = f'{LIST_FOLDER}/{split}.txt'
            files[path] = ''.join(f'{name}\n' for name in names).encode()
            splits[split] = previous._replace(number=len(names), names=path)
    image_suffix, label_suffix = suffixes.pop()
    return Found(
        'label images',
        meaning.classes,
        {split: splits[split] for split in SPLITS if split in splits},
        size,
        files,
        tuple(remarks),
        suffixes=(image_suffix, '.png' if converted else label_suffix),
        reduce_zero_label=meaning.reduce_zero_label,
        palette=meaning.palette,
    )


def is_in_colours(path: Path) -> bool:
    """Return whether a label image has colours instead of values that the hosts could read."""
    with Image.open(path) as picture:
        return picture.mode in COLOURED


def read_labels(path: Path, colours: Sequence[Colour]) -> tuple[np.ndarray, tuple[Colour, ...]]:
    """Read the values (H, W) of a label image, and its palette.

    Colours become the index of their class in the list.

    Raises:
        ValueError: If it cannot be read, or has a colour that is not in the list.
    """
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            array = np.asarray(picture.convert('RGB') if mode in COLOURED else picture)
            shades = picture.getpalette() if mode == 'P' else None
    except DAMAGE as error:
        raise ValueError(describe(error, str(path))) from error
    if array.ndim == 2:
        if array.max() > IGNORED or array.min() < 0:
            raise ValueError(f'has the value {array.max():g}; hosts read only 8 bits')
        shades = shades or []
        palette = [(shades[i], shades[i + 1], shades[i + 2]) for i in range(0, len(shades), 3)]
        return array.astype(np.uint8), tuple(palette)
    if mode not in COLOURED:
        raise ValueError(f'is in mode {mode}; label images have values, a palette or colours')
    if not colours:
        raise ValueError('is in colours: define them in classes.txt with lines NAME R G B')
    return _by_colour(array, colours), ()


def _by_colour(array: np.ndarray, colours: Sequence[Colour]) -> np.ndarray:
    """Return the class index (H, W) of colours (H, W, 3)."""
    radix = np.array((65536, 256, 1))
    keys, labels = array.astype(np.int64) @ radix, np.full(array.shape[:2], -1)
    for number, colour in enumerate(colours):
        labels[keys == np.dot(colour, radix)] = number
    if (labels < 0).any():
        y, x = np.argwhere(labels < 0)[0]
        shade = ', '.join(map(str, array[y, x]))
        raise ValueError(f'pixel ({x}, {y}) has the colour ({shade}), which is not a class')
    return labels.astype(np.uint8)


def _to_png(values: np.ndarray, table: dict[int, int]) -> bytes:
    lookup = np.full(256, IGNORED, np.uint8)
    for value, label in table.items():
        lookup[value] = label
    file = io.BytesIO()
    Image.fromarray(lookup[values]).save(file, 'PNG', optimize=False)
    return file.getvalue()

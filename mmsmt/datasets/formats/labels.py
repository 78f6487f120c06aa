"""Label images: a value, or a colour, a pixel for its class."""

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
from mmsmt.datasets.formats.split import choose_val
from mmsmt.datasets.image_files import DAMAGE, describe
from mmsmt.errors import UsageError
from mmsmt.text import count, some

LAYOUT = (
    'images/SPLIT/NAME.jpg with labels/SPLIT/NAME.png, SPLIT/images with SPLIT/labels, or '
    'SPLIT/NAME.png with SPLITannot/NAME.png, and classes.txt (label images)'
)


def recognise(root: Path, seed: int = 0, unlabelled: int | None = None) -> Found | None:
    """Read images with label images; None if there are none.

    Classes are those of a list, `classes.txt` with lines `NAME` or `NAME R G B`, or as many as
    there are values. Label images in colours, or with another value than 0 and 255 for pixels
    without a label, are written anew as values.

    Args:
        root: Folder of the data.
        seed: Of the choice of validation images, where the data have no splits.
        unlabelled: Value that stands for no class, where the list of classes does not say so.

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
            read = read_labels(path, colours, faults)
            size = size_of(image, faults)
            if read is None or size is None:
                continue
            values, shown = read
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
        for split, pair in pairs.items():
            for name in pair.names:
                path = pair.labels / f'{name}{pair.suffixes[1]}'
                target = '/'.join(filter(None, (LABEL_FOLDER, split, f'{name}.png')))
                again = read_labels(path, colours, faults)
                assert again is not None
                files[target] = _to_png(again[0], table)
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
    """The data set for a config, split where it is not."""
    splits, remarks = {}, []
    converted = bool(files)
    if converted:
        remarks.append(f'label images were written anew as values in {LABEL_FOLDER}')
    for split, pair in pairs.items():
        labels = pair.labels.relative_to(root).as_posix()
        if converted:
            labels = '/'.join(filter(None, (LABEL_FOLDER, split)))
        listed = pair.listed.relative_to(root).as_posix() if pair.listed else ''
        images = pair.images.relative_to(root).as_posix()
        splits[split] = Split(images, len(pair.names), labels, listed)
    suffixes = {pair.suffixes for pair in pairs.values()}
    if len(suffixes) > 1:
        raise UsageError(f'{root}: splits have files of other suffixes: {some(sorted(suffixes))}')
    whole = 'train' if 'train' in splits else ''
    if whole not in splits:
        raise UsageError(f'{root}: there is no split train, only {", ".join(splits)}')
    if 'val' not in splits:
        former, pair = splits.pop(whole), pairs[whole]
        ending = pair.suffixes[1]
        chosen = choose_val({n: present[pair.labels / (n + ending)] for n in pair.names}, seed)
        if not chosen:
            raise UsageError(f'{pair.images}: {count(former.number, "image")}, too few for a split')
        for split, wanted in (('train', False), ('val', True)):
            names = [name for name in pair.names if (name in chosen) == wanted]
            path = f'{LIST_FOLDER}/{split}.txt'
            files[path] = ''.join(f'{name}\n' for name in names).encode()
            splits[split] = former._replace(number=len(names), names=path)
        number = count(former.number, 'image')
        remarks.append(f'{len(chosen)} of {number} were chosen for validation (seed {seed})')
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
    """Whether a label image has colours, not values that the hosts could read."""
    with Image.open(path) as picture:
        return picture.mode in ('RGB', 'RGBA')


def read_labels(
    path: Path, colours: Sequence[Colour], faults: Faults
) -> tuple[np.ndarray, tuple[Colour, ...]] | None:
    """Values (H, W) of a label image and its palette; None, and a fault, if it is none.

    Colours become the numbers of their classes in the list.
    """
    try:
        with Image.open(path) as picture:
            mode = picture.mode
            array = np.asarray(picture.convert('RGB') if mode in ('RGB', 'RGBA') else picture)
            shades = picture.getpalette() if mode == 'P' else None
    except DAMAGE as error:
        return faults.add(path, describe(error, str(path)))
    if array.ndim == 2:
        if array.max() > IGNORED or array.min() < 0:
            return faults.add(path, f'holds {array.max():g}; hosts read 8 bits')
        shades = shades or []
        palette = [(shades[i], shades[i + 1], shades[i + 2]) for i in range(0, len(shades), 3)]
        return array.astype(np.uint8), tuple(palette)
    if array.ndim != 3 or not colours:
        wrong = 'is in colours: classes.txt has to say which, with lines NAME R G B'
        return faults.add(path, wrong)
    keys = array.astype(np.int64) @ (65536, 256, 1)
    labels = np.full(keys.shape, -1, np.int64)
    for number, colour in enumerate(colours):
        labels[keys == np.dot(colour, (65536, 256, 1))] = number
    if (labels < 0).any():
        y, x = np.argwhere(labels < 0)[0]
        colour = ', '.join(map(str, array[y, x]))
        wrong = f'pixel ({x}, {y}) has the colour ({colour}), which is of no class'
        return faults.add(path, wrong)
    return labels.astype(np.uint8), ()


def _to_png(values: np.ndarray, table: dict[int, int]) -> bytes:
    lookup = np.full(256, IGNORED, np.uint8)
    for value, label in table.items():
        lookup[value] = label
    file = io.BytesIO()
    Image.fromarray(lookup[values]).save(file, 'PNG', optimize=False)
    return file.getvalue()

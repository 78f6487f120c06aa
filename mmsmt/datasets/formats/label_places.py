"""Locations of images and label images, and their pairing."""

import os
from pathlib import Path
from typing import NamedTuple

from mmsmt.datasets.formats.found import (
    SPLITS,
    Faults,
    by_split,
    images_in,
    read_lines,
    split_of,
    subfolders,
)

IMAGES = ('images', 'image', 'imgs', 'img', 'img_dir', 'jpegimages')
LABELS = ('labels', 'label', 'annotations', 'masks', 'mask', 'ann_dir', 'segmentationclass', 'gt')
ENDINGS = ('annot', '_labels', '_label', '_masks', '_mask', '_annotations')  # of label folders


class Pairs(NamedTuple):
    """The images of a split with their label images.

    Args:
        images: Folder of the images.
        labels: Folder of the label images.
        names: Names of the images without suffix.
        suffixes: Suffix of the images, and the ending of the label images after the same name.
        listed: File that lists the names, or None if the folder holds no others.
    """

    images: Path
    labels: Path
    names: list[str]
    suffixes: tuple[str, str]
    listed: Path | None = None


def find_pairs(root: Path, faults: Faults) -> dict[str, Pairs]:
    """Return images and label images by split, '' without splits; empty if there are none."""
    places = _places(root)
    lists = {s: root / 'ImageSets' / 'Segmentation' / f'{s}.txt' for s in SPLITS}
    lists = {split: path for split, path in lists.items() if path.is_file()}
    if list(places) == [''] and 'train' in lists:
        images, labels = places['']
        return {split: _pair(images, labels, faults, path) for split, path in lists.items()}
    return {split: _pair(*place, faults) for split, place in places.items()}


def _places(root: Path) -> dict[str, tuple[Path, Path]]:
    """Return the folders of images and of label images by split."""
    if both := _both(root):
        parts = by_split(subfolders(both[0]))
        if parts and not images_in(both[0]):
            return {s: (p, both[1] / p.name) for s, p in parts.items()}
        return {'': both} if images_in(both[1]) else {}
    folders = subfolders(root)
    ends = {path for path in folders if path.name.lower().endswith(ENDINGS)}
    parts = by_split(path for path in folders if path not in ends)
    found: dict[str, tuple[Path, Path]] = {}
    for split, path in parts.items():
        matching = [end for end in ends if split_of(_without_ending(end.name)) == split]
        both = _both(path) or ((path, matching[0]) if len(matching) == 1 else None)
        if both is None:
            return {}
        found[split] = both
    return found


def _both(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of images and of label images in a folder."""
    inside = {path.name.lower(): path for path in subfolders(folder)}
    images = [inside[name] for name in IMAGES if name in inside]
    labels = [inside[name] for name in LABELS if name in inside]
    return (images[0], labels[0]) if images and labels else None


def _without_ending(name: str) -> str:
    ending = next(e for e in ENDINGS if name.lower().endswith(e))
    return name[: -len(ending)]


def _pair(images: Path, labels: Path, faults: Faults, listed: Path | None = None) -> Pairs:
    """Match images to label images, whose names start with the name of the image."""
    files, targets = images_in(images), {path.name for path in images_in(labels)}
    suffixes = sorted({file.suffix for file in files})
    names = [file.stem for file in files]
    if listed:
        names = [line for _, line in read_lines(listed)]
    if not names:
        faults.add(listed or images, 'is empty: no images for this split')
        return Pairs(images, labels, [], ('.jpg', '.png'), listed)
    if len(suffixes) != 1:
        other = [file.name for file in files if file.suffix == suffixes[-1]]
        wrong = f'images with the suffixes {", ".join(suffixes)}, such as {other[0]}; use only one'
        faults.add(images, wrong)
    endings = [t[len(names[0]) :] for t in sorted(targets) if t.startswith(names[0])]
    ending = next((e for e in endings if e[0] in '._-'), '.png')
    present = {file.stem for file in files}
    for number, name in enumerate(names, 1):
        if name not in present:
            faults.add(listed or images, f'{name} has no image in {images}', number)
        elif name + ending not in targets:
            wanted = os.path.join(labels, name + ending)
            faults.add(images / f'{name}{suffixes[0]}', f'has no label image {wanted}')
    if not listed:
        owners = {name + ending for name in names}
        for target in sorted(targets - owners):
            faults.add(labels / target, f'has no image in {images}')
    return Pairs(images, labels, names, (suffixes[0], ending), listed)

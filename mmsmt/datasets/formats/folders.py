"""Image folders: one folder per class, with or without folders for splits."""

from pathlib import Path

from mmsmt.datasets.formats.found import (
    LIST_FOLDER,
    SPLITS,
    Faults,
    Found,
    Split,
    by_split,
    images_in,
    size_of,
    subfolders,
    typical,
)
from mmsmt.datasets.formats.split import divide
from mmsmt.errors import UsageError
from mmsmt.text import some

LAYOUT = 'SPLIT/CLASS/NAME.jpg or CLASS/NAME.jpg (image folders)'
SAMPLE = 200  # number of images whose size is read


def recognise(root: Path, seed: int = 0) -> Found | None:
    """Read image folders; None if there are none.

    Raises:
        UsageError: If splits have different classes, or a class has no images.
    """
    parts = {split: _read(path) for split, path in by_split(subfolders(root)).items()}
    folders = {split: by_split(subfolders(root))[split].name for split in parts}
    if not any(parts.values()):
        parts, folders = {'': _read(root)}, {'': ''}
        if len(parts['']) < 2:
            return None
    classes = max(map(tuple, parts.values()), key=len)
    for split, images in parts.items():
        if not any(images.values()):
            raise UsageError(f'{root / folders[split]}: the split {split} is empty')
        lacking = [name for name in classes if not images.get(name)]
        more = [name for name in images if name not in classes]
        if lacking or more:
            what = (
                f'no images of {some(lacking)}' if lacking else f'additional classes {some(more)}'
            )
            raise UsageError(f'{root / folders[split]}: {what}; all splits need the same classes')
    whole = 'train' if 'train' in parts else ''
    if whole not in parts:
        raise UsageError(f'{root}: no train split, only {", ".join(parts)}')
    splits = {s: Split(folders[s], sum(map(len, images.values()))) for s, images in parts.items()}
    files, remarks = {}, list[str]()
    if 'val' not in parts:
        previous = splits.pop(whole)
        labels = {name: c for c, names in parts[whole].items() for name in names}
        divided, said = divide({name: {c} for name, c in labels.items()}, seed, root)
        remarks.append(said)
        for split, chosen in divided.items():
            lines = [f'{name} {classes.index(labels[name])}\n' for name in sorted(chosen)]
            path = f'{LIST_FOLDER}/{split}.txt'
            files[path] = ''.join(lines).encode()
            splits[split] = Split(previous.images, len(lines), names=path)
    faults = Faults()
    paths = [root / folders[whole] / name for names in parts[whole].values() for name in names]
    sizes = [size_of(path, faults) for path in paths[:: max(1, len(paths) // SAMPLE)]]
    faults.stop()
    return Found(
        'image folders',
        classes,
        {split: splits[split] for split in SPLITS if split in splits},
        typical(size for size in sizes if size),
        files,
        tuple(remarks),
    )


def _read(folder: Path) -> dict[str, list[str]]:
    """Return the images of each class as relative paths; classes are sorted as in the hosts."""
    return {
        path.name: [f'{path.name}/{image.name}' for image in images_in(path)]
        for path in subfolders(folder)
        if images_in(path) or not subfolders(path)
    }

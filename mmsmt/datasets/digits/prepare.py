"""Preparation of the digits data set: tiles, scenes and a manifest."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from mmsmt.datasets.digits.photographs import load_photographs
from mmsmt.datasets.digits.scenes import MIN_SIZE
from mmsmt.datasets.digits.source import NUM_VAL, load_split
from mmsmt.datasets.digits.staging import staged_folder
from mmsmt.datasets.digits.writers import write_json, write_scenes, write_tiles
from mmsmt.errors import TargetError

MANIFEST = 'digits.json'
LIBRARIES = ('numpy', 'pillow', 'pycocotools', 'scikit-learn')
MAX_SIZE = 4096  # px; more is probably a typo, and would take a gigabyte per scene


@dataclass(frozen=True)
class Parameters:
    """Parameters that determine the written bytes, apart from code and library versions.

    Attributes:
        scenes_train: Training scenes, at least 1.
        scenes_val: Validation scenes, at least 1.
        size: Side of a scene in pixels, 160 to 4096.
        renderings: Additional tiles, in colours and on photographs, per training digit, at least 0.
        seed: Seed of all pictures, at least 0; the split of the digits is fixed.
        revision: Increased whenever the code draws different pictures.

    Raises:
        ValueError: If a value is out of its range; the message names it.
    """

    scenes_train: int = 2000
    scenes_val: int = 200
    size: int = 256
    renderings: int = 7
    seed: int = 0
    revision: int = 3

    def __post_init__(self) -> None:
        least = {'scenes_train': 1, 'scenes_val': 1, 'size': MIN_SIZE, 'renderings': 0, 'seed': 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f'{name} must be at least {bound}, got {getattr(self, name)}')
        if self.size > MAX_SIZE:
            raise ValueError(f'size must be at most {MAX_SIZE}, got {self.size}')


def is_prepared(out: Path, parameters: Parameters, force: bool = False) -> bool:
    """Return whether a target already holds the requested digits.

    Args:
        out: The target.
        parameters: The requested digits.
        force: Whether prepared digits with other parameters may be replaced; anything else never
            is.

    Raises:
        TargetError: If it holds something else that must be kept.
    """
    found, asked = _read_parameters(out), asdict(parameters)
    if found is not None and found != asked and not force:
        names = [name for name in asked if found.get(name) != asked[name]]
        changes = ', '.join(f'{name} {found.get(name)} (asked: {asked[name]})' for name in names)
        raise TargetError(f'{out} was prepared with {changes}: pass --force to replace it')
    return found == asked


def _read_parameters(out: Path) -> dict | None:
    """Read the parameters of a prepared target; None if nothing is prepared yet."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / MANIFEST).is_file():
        raise TargetError(f'{out} exists but has no {MANIFEST}: choose another folder')
    try:
        return dict(json.loads((out / MANIFEST).read_text(encoding='ascii'))['parameters'])
    except (ValueError, KeyError, TypeError) as error:
        raise TargetError(f'{out / MANIFEST} is damaged: remove {out} and run again') from error


def prepare_digits(
    out: Path,
    parameters: Parameters,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Write the whole data set; call `is_prepared` first to check the target.

    Args:
        out: The target folder, replaced as a whole once everything is written.
        parameters: What to write.
        advance: Called after each picture with the number done and the total.

    Returns:
        The number of pictures in each folder.

    Raises:
        FolderBusyError: If another process is preparing the same target.
        OSError: If the target cannot be written.
    """
    counts = {
        'cls/train': len(load_split()['train']) * (1 + parameters.renderings),
        'cls/val': NUM_VAL,
        'scenes/train': parameters.scenes_train,
        'scenes/val': parameters.scenes_val,
    }
    with staged_folder(out) as folder:
        for done, _ in enumerate(_write_pictures(folder, parameters), start=1):
            advance(done, sum(counts.values()))
        versions = {library: version(library) for library in LIBRARIES}
        manifest = {'parameters': asdict(parameters), 'counts': counts, 'versions': versions}
        write_json(folder / MANIFEST, manifest, indent=2)
    return counts


def _write_pictures(folder: Path, asked: Parameters) -> Iterator[Path]:
    digits, photographs = load_split(), load_photographs()
    for split, renderings in (('train', asked.renderings), ('val', 0)):
        sources = digits[split], photographs[split]
        yield from write_tiles(folder / 'cls' / split, *sources, renderings, asked.seed)
    for split, count in (('train', asked.scenes_train), ('val', asked.scenes_val)):
        sources = digits[split], photographs[split]
        yield from write_scenes(folder / 'scenes', split, *sources, count, asked.size, asked.seed)

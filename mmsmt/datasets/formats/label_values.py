"""Meaning of the values or colours in label images."""

import re
from pathlib import Path
from typing import NamedTuple

from mmsmt.datasets.formats.found import Faults, read_lines, require_names
from mmsmt.errors import UsageError
from mmsmt.text import some

LISTS = ('classes.txt', 'class_dict.csv', 'label_colors.txt', 'labels.txt', 'classes.csv')
VOID = ('void', 'unlabelled', 'unlabeled', 'ignore', 'ignored')
IGNORED = 255
Colour = tuple[int, int, int]


class Meaning(NamedTuple):
    """The meaning of the values in label images.

    Args:
        classes: Names in the order of their labels.
        table: Label by value, 255 for unlabelled; None if hosts can read the values unchanged.
        reduce_zero_label: Whether hosts must treat 0 as unlabelled, and 1 as the first class.
        palette: A colour for each class, if known.
    """

    classes: tuple[str, ...]
    table: dict[int, int] | None = None
    reduce_zero_label: bool = False
    palette: tuple[Colour, ...] = ()


def read_classes(root: Path) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """Read names and colours from the list of classes in a folder; empty without a list.

    Raises:
        UsageError: If a line cannot be read, or a name or colour is duplicated.
    """
    path = next((root / name for name in LISTS if (root / name).is_file()), None)
    if path is None:
        return (), ()
    names, colours = [], []
    for number, line in read_lines(path):
        words = re.split(r'[,\s]+', line)
        shades = [int(word) for word in words if word.isdigit()]
        rest = ' '.join(word for word in words if not word.isdigit())
        if not rest or len(shades) not in (0, 3) or any(shade > 255 for shade in shades):
            if len(words) == 1 and len(shades) == 1:  # a class whose name is a number
                rest, shades = line, []
            else:
                raise UsageError(f'{path}:{number}: {line!r} is not NAME or NAME R G B')
        if path.suffix == '.csv' and number == 1 and not shades and len(words) > 1:
            continue  # column headers
        names.append(rest)
        if shades:
            colours.append((shades[0], shades[1], shades[2]))
    if colours and len(colours) != len(names):
        raise UsageError(f'{path}: only {len(colours)} of {len(names)} classes have a colour')
    twice = [colour for colour in colours if colours.count(colour) > 1]
    if twice:
        raise UsageError(f'{path}: two classes have the colour {twice[0]}')
    return require_names(names, path), tuple(colours)


def understand(
    root: Path,
    names: tuple[str, ...],
    colours: tuple[Colour, ...],
    present: dict[Path, set[int]],
    unlabelled: int | None,
    palette: tuple[Colour, ...],
) -> Meaning:
    """Find the class of every value.

    Raises:
        UsageError: If a value has no class, or the meaning is ambiguous.
    """
    values = set().union(*present.values())
    shown = colours or palette
    if values == {0, IGNORED} and len(names) in (0, 2) and unlabelled is None:
        return Meaning(names or ('background', 'object'), {0: 0, IGNORED: 1})
    if void := [i for i, name in enumerate(names) if name.lower() in VOID]:
        kept = [i for i in range(len(names)) if i not in void]
        table = {old: new for new, old in enumerate(kept)} | dict.fromkeys(
            [*void, IGNORED], IGNORED
        )
        _require_known(present, table)
        shades = tuple(shown[i] for i in kept) if len(shown) >= len(names) else ()
        return Meaning(tuple(names[i] for i in kept), table, palette=shades)
    labels = values - {IGNORED, unlabelled}
    if not labels:
        raise UsageError(f'{root}: no pixel in any label image has a class')
    number = len(names) or max(labels) + (unlabelled != 0)
    zero = unlabelled == 0 or (0 not in values and max(labels) == number and bool(names))
    names = names or tuple(f'class_{i}' for i in range(number))
    if not zero and unlabelled is None and max(labels) == number:
        raise UsageError(
            f'{root}: label images hold 0 to {number}, but there are {number} classes: specify the '
            f'unlabelled value, --unlabelled {number} or --unlabelled 0'
        )
    if unlabelled is not None and 0 < unlabelled < number:
        raise UsageError(
            f'--unlabelled {unlabelled} is the value of {names[unlabelled]}; call it `void` in '
            f'the list of classes'
        )
    known = range(zero, number + zero)
    table = {value: value for value in (*known, IGNORED)}
    if zero:
        table[0] = IGNORED
    elif unlabelled is not None:
        table[unlabelled] = IGNORED
    _require_known(present, table)
    shades = tuple(shown[i] for i in known) if len(shown) > known[-1] else ()
    shades = colours or shades
    convert = not zero and unlabelled not in (None, IGNORED) and unlabelled in values
    return Meaning(names, table if convert else None, zero, shades)


def _require_known(present: dict[Path, set[int]], table: dict[int, int]) -> None:
    """Raise if there are values without a class."""
    classes = [value for value, label in table.items() if label != IGNORED]
    faults = Faults(f'the classes have the values {min(classes)} to {max(classes)}')
    for path, values in present.items():
        if strange := sorted(values - set(table)):
            faults.add(path, f'has the values {some(strange)}, which are not classes')
    faults.stop()

"""Check that files and folders of a config exist, and search for missing ones nearby."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmsmt.checks.data.findings import Check, Finding
from mmsmt.text import count, some


def check_places(
    kinds: Mapping[str, str], expected: Mapping[str, str] | None = None
) -> list[Finding]:
    """Find files and folders that are missing, and files that are empty.

    The kinds, 'folder' or 'file', are by path. If something is missing, notes say what is expected
    at each path.
    """
    found = []
    for path, kind in kinds.items():
        if not (os.path.isdir(path) if kind == 'folder' else os.path.isfile(path)):
            found.append(Finding('error', path, _trouble(path, kind), _elsewhere(path)))
        elif kind == 'file' and not os.path.getsize(path):
            found.append(Finding('error', path, 'is empty'))
    layout = (expected or {}).items() if found else ()
    return found + [Finding('note', path, f'expected here: {what}') for path, what in layout]


def _trouble(path: str, kind: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return f'is a link to {os.readlink(path)}, which is missing'
    return f'is not a {kind}' if os.path.exists(path) else f'no such {kind}'


def _elsewhere(path: str) -> str:
    """Search for that name nearby: next to the first missing part, or one level down."""
    wanted = Path(path)
    nearest = next((folder for folder in wanted.parents if folder.is_dir()), None)
    # The current folder and the root of the disk are not part of a data set.
    if nearest is None or nearest.resolve() in (Path.cwd(), Path(wanted.anchor or '/')):
        return 'set --data-root to the location of `data`; mmsmt check data CONFIG shows the layout'
    candidates = [*subfolders(nearest), nearest.parent]
    found = [folder / wanted.name for folder in candidates if (folder / wanted.name).exists()]
    if found:
        return f'found {some(found)}: move or link it there'
    return f'{nearest} holds {some(sorted(os.listdir(nearest)), 6) or "nothing"}'


def subfolders(folder: Path | str) -> list[Path]:
    """Return the folders in a folder, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def check_presence(folder: str, names: Sequence[str], noun: str, right: str = '') -> Check:
    """Find files missing in a folder; return the names that exist.

    Lists every folder once, and opens no file. The finding's advice begins with `right`.
    """
    listed: dict[str, set[str]] = {}
    missing = []
    for name in names:
        parent, base = os.path.split(os.path.join(folder, name))
        if parent not in listed:
            listed[parent] = set(os.listdir(parent)) if os.path.isdir(parent) else set()
        if base not in listed[parent]:
            missing.append(name)
    if missing:
        wrong = f'{len(missing):,} of {count(len(names), noun)} missing: {some(missing)}'
        yield Finding('error', folder, wrong, right + _similar_file(folder, missing[0]))
    else:
        yield Finding('note', folder, f'{count(len(names), noun)}, none missing')
    absent = set(missing)
    return [name for name in names if name not in absent]


def _similar_file(folder: str, name: str) -> str:
    """Suggest a file that differs only in case or suffix from a missing one."""
    parent, base = os.path.split(os.path.join(folder, name))
    stem = os.path.splitext(base)[0].lower()
    names = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
    found = next((other for other in names if os.path.splitext(other)[0].lower() == stem), None)
    if found:
        return f'{found} exists instead of {base}: names must agree in case and suffix'
    return f'{parent} holds {some(names) or "nothing"}'


def list_files(folder: str, suffixes: str | tuple[str, ...]) -> list[str]:
    """Return the names of all files in a folder as found by the hosts, sorted, without hidden ones.

    Several suffixes are compared in lower case, a single one exactly.
    """
    found = []
    for parent, _, names in os.walk(folder, followlinks=True):
        inside = os.path.relpath(parent, folder)
        for name in names:
            compared = name if isinstance(suffixes, str) else name.lower()
            if compared.endswith(suffixes) and not name.startswith('.'):
                found.append(name if inside == '.' else f'{inside}/{name}')
    return sorted(found)

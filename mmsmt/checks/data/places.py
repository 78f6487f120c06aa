"""Places: whether folders and files are where a config looks for them, and where else they are."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmsmt.checks.data.findings import Check, Finding
from mmsmt.text import count, some


def check_places(
    kinds: Mapping[str, str], expected: Mapping[str, str] | None = None
) -> list[Finding]:
    """Find folders and files that are missing, and files that are empty.

    The kinds, 'folder' or 'file', are by path. Where something is missing, notes say what is
    expected at each path.
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
    return f'is no {kind}' if os.path.exists(path) else f'no such {kind}'


def _elsewhere(path: str) -> str:
    """Folders or files of that name nearby: next to the first missing part, or one level down."""
    wanted = Path(path)
    nearest = next((folder for folder in wanted.parents if folder.is_dir()), None)
    # The current folder or the root of the disk is no part of a data set.
    if nearest is None or nearest.resolve() in (Path.cwd(), Path(wanted.anchor or '/')):
        return 'say with --data-root where `data` is; mmsmt check data CONFIG shows the layout'
    candidates = [*subfolders(nearest), nearest.parent]
    found = [folder / wanted.name for folder in candidates if (folder / wanted.name).exists()]
    if found:
        return f'there is {some(found)}: move it, or link it there'
    return f'{nearest} holds {some(sorted(os.listdir(nearest)), 6) or "nothing"}'


def subfolders(folder: Path | str) -> list[Path]:
    """The folders in a folder, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def check_presence(folder: str, names: Sequence[str], noun: str, right: str = '') -> Check:
    """Find files that are missing in a folder; returns the names that are there.

    Lists every folder once, and opens nothing. The finding's advice begins with `right`.
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
    """The file that differs in case or suffix only, as advice on a missing one."""
    parent, base = os.path.split(os.path.join(folder, name))
    stem = os.path.splitext(base)[0].lower()
    names = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
    found = next((other for other in names if os.path.splitext(other)[0].lower() == stem), None)
    if found:
        return f'for {base} there is {found}: names must agree in case and suffix'
    return f'{parent} holds {some(names) or "nothing"}'


def list_files(folder: str, suffixes: str | tuple[str, ...]) -> list[str]:
    """Names of all files under a folder as the hosts find them, sorted, without hidden ones.

    Several suffixes are compared in lower case, a single one as it is.
    """
    found = []
    for parent, _, names in os.walk(folder, followlinks=True):
        inside = os.path.relpath(parent, folder)
        for name in names:
            compared = name if isinstance(suffixes, str) else name.lower()
            if compared.endswith(suffixes) and not name.startswith('.'):
                found.append(name if inside == '.' else f'{inside}/{name}')
    return sorted(found)

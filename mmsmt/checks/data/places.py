"""Whether folders and files are where a config looks for them, and where else they may be."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmsmt.checks.data.findings import Finding
from mmsmt.text import some


def check_folder(path: str) -> Iterator[Finding]:
    """An error where there is no such folder."""
    if not os.path.isdir(path):
        yield Finding('error', path, _trouble(path, 'folder'), _elsewhere(path))


def check_file(path: str) -> Iterator[Finding]:
    """An error where there is no such file, or an empty one."""
    if not os.path.isfile(path):
        yield Finding('error', path, _trouble(path, 'file'), _elsewhere(path))
    elif not os.path.getsize(path):
        yield Finding('error', path, 'is empty')


def _trouble(path: str, kind: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return f'is a link to {os.readlink(path)}, which is missing'
    return f'is no {kind}' if os.path.exists(path) else f'no such {kind}'


def _elsewhere(path: str) -> str:
    """Name folders or files of that name nearby: beside the first missing part, one level down."""
    wanted = Path(path)
    ancestors = (folder for folder in wanted.parents if folder.is_dir())
    nearest = next(ancestors, None)
    # The current folder or the root of the disk is no part of a data set.
    if nearest is None or nearest.resolve() in (Path.cwd(), Path(wanted.anchor or '/')):
        return 'see the layout below, or say with --data-root where `data` is'
    candidates = [*subfolders(nearest), nearest.parent]
    found = [folder / wanted.name for folder in candidates if (folder / wanted.name).exists()]
    if found:
        return f'there is {some(found)}: move it, or link it there'
    return f'{nearest} holds {some(sorted(os.listdir(nearest)), 6) or "nothing"}'


def subfolders(folder: Path | str) -> list[Path]:
    """The folders in a folder, sorted by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def missing_files(folder: str, names: Iterable[str]) -> list[str]:
    """Which of the names are no files in a folder; lists every folder once, opens nothing.

    Args:
        folder: The folder.
        names: Relative to it, perhaps in subfolders.
    """
    listed: dict[str, set[str]] = {}
    missing = []
    for name in names:
        parent, base = os.path.split(os.path.join(folder, name))
        if parent not in listed:
            listed[parent] = set(os.listdir(parent)) if os.path.isdir(parent) else set()
        if base not in listed[parent]:
            missing.append(name)
    return missing


def similar_file(folder: str, name: str) -> str:
    """Name the file that differs in case or suffix only, as the mending of a missing one."""
    parent, base = os.path.split(os.path.join(folder, name))
    stem = os.path.splitext(base)[0].lower()
    names = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
    found = next((other for other in names if os.path.splitext(other)[0].lower() == stem), None)
    if found:
        return f'for {base} there is {found}: names must agree in case and suffix'
    return f'{parent} holds {some(names) or "nothing"}'


def list_files(folder: str, suffixes: str | tuple[str, ...]) -> list[str]:
    """Names of all files of some suffixes under a folder as the hosts find them, sorted.

    Args:
        folder: The folder; hidden files are left out.
        suffixes: Compared with the end of the name in lower case, unless given as one text.
    """
    found = []
    for parent, _, names in os.walk(folder, followlinks=True):
        inside = os.path.relpath(parent, folder)
        for name in names:
            compared = name if isinstance(suffixes, str) else name.lower()
            if compared.endswith(suffixes) and not name.startswith('.'):
                found.append(name if inside == '.' else f'{inside}/{name}')
    return sorted(found)

"""Check of `_base_`: files that are missing, invalid, or define the same key twice."""

import ast
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import get_installed_path, is_installed

from mmsmt.checks.config.findings import Finding
from mmsmt.engine.patches import metafiles_read_once
from mmsmt.text import nearest

SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def read_config(path: Path) -> tuple[Config | None, list[Finding]]:
    """Read a config, or report in one line per cause why it cannot be read.

    A Python config is a program: reading it runs it, as training does.
    """
    if path.suffix not in SUFFIXES:
        kinds = ', '.join(SUFFIXES)
        return None, [Finding('file', f'is not a config: {path.name}', f'configs end in {kinds}')]
    with metafiles_read_once():
        if findings := list(dict.fromkeys(_check_chain(path, 'here'))):
            return None, findings
        try:
            return Config.fromfile(path), []
        except Exception as error:  # noqa: BLE001  a config is a program, which may raise anything
            text = ' '.join(f'{type(error).__name__}: {error}'.splitlines())[:300]
            other = Finding('file', f'cannot be read: {text}', 'fix the line that raises this')
            return None, list(_check_duplicates(path)) or [other]


def count_levels(path: Path) -> int:
    """Return the levels of inheritance, including this file, without installed packages."""
    local = [base for base in _bases_of(path) if '::' not in base]
    return 1 + max((count_levels(_find_base(base, path)) for base in local), default=0)


def _bases_of(path: Path) -> list[str]:
    """Return the entries of `_base_` in a file; empty for new-style configs."""
    return [str(base) for base in Config._get_base_files(str(path))]


def _find_base(base: str, path: Path) -> Path:
    """Return the file that an entry of `_base_` names; only its package must exist."""
    package, separator, inner = base.partition('::')
    if separator and not is_installed(package):
        raise ModuleNotFoundError(package)
    try:
        return Path(Config._get_cfg_path(base, str(path))[0])
    except (FileNotFoundError, ValueError):
        return _host_configs(package) / inner


def _host_configs(package: str) -> Path:
    return Path(get_installed_path(package), '.mim', 'configs')


def _check_chain(path: Path, where: str) -> Iterator[Finding]:
    """Check that every file in the chain exists and is valid Python."""
    try:
        if path.suffix == '.py':
            ast.parse(path.read_text())  # mmengine's own check loses the line number
        bases = _bases_of(path)
    except SyntaxError as error:
        message = f'{where}: {error.msg}' if where != 'here' else error.msg
        yield Finding(f'line {error.lineno}', message, 'a config must be valid Python')
        return
    except Exception as error:  # noqa: BLE001  whatever the expression after `_base_` raises
        wrong = f'{where}: cannot be evaluated: {type(error).__name__}: {error}'
        right = 'must be a path or a list of paths, relative to this file or as package::path'
        yield Finding('_base_', wrong, right)
        return
    for base in bases:
        try:
            file = _find_base(base, path)
        except ModuleNotFoundError as error:
            yield Finding('_base_', f'{base!r}: {error} is not installed', f'install {error}')
            continue
        if file.is_file():
            yield from _check_chain(file, f'in {base}')
        else:
            inherits = '' if where == 'here' else f', {where},'
            yield Finding('_base_', f'{base!r}{inherits} does not exist', _suggest(file, base))


def _suggest(file: Path, base: str) -> str:
    """Suggest the nearest existing path: in the same folder, or of the same installed package."""
    package, separator, inner = base.partition('::')
    if separator:
        folder = _host_configs(package)
        near = nearest(inner, [str(p.relative_to(folder)) for p in folder.rglob('*.py')])
        near = near and f'{package}::{near}'
    else:
        near = nearest(file.name, [p.name for p in file.parent.glob('*.py')])
        near = near and str(Path(base).with_name(near))
    return f'did you mean {near!r}?' if near else 'paths are relative to the inheriting file'


def _check_duplicates(path: Path) -> Iterator[Finding]:
    """Find keys defined by two bases of a file; mmengine's error does not name the files."""
    files = {base: _find_base(base, path) for base in _bases_of(path)}
    for file in files.values():
        yield from _check_duplicates(file)
    try:
        keys = {b: set(Config.fromfile(f, import_custom_modules=False)) for b, f in files.items()}
    except Exception:  # noqa: BLE001  reported by whoever reads that base
        return
    right = 'a key can come from only one base: inherit one of them, or merge them in a base'
    for a, b in combinations(keys, 2):
        for key in sorted(keys[a] & keys[b]):
            yield Finding(key, f'defined by both {a!r} and {b!r}', right)

"""Configs as data: written as literals without local paths, read without running them."""

import ast
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config
from mmengine.utils import get_object_from_string

from mmsmt.errors import ConfigError
from mmsmt.hosts.config import without_files
from mmsmt.hosts.trust import (
    LOCAL_BACKENDS,
    OUTSIDE,
    SCOPES,
    Names,
    Place,
    find_fault,
    require_harmless,
    top,
)

# Entries of a single run, and imports, which a folder cannot contain.
_OF_A_RUN = ('load_from', 'resume', 'work_dir', 'launcher', 'local_rank', 'custom_imports')


def to_portable(cfg: Config, source: str) -> dict[str, Any]:
    """Convert a whole config to plain data that means the same on another machine.

    Weight files, experiment trackers and entries of a single run are left out. Absolute paths
    become relative, and classes in new-style configs their registered names.

    Args:
        cfg: Any training config.
        source: Name of the config in messages.

    Raises:
        ConfigError: If it holds values that cannot be converted or would be refused on reading.
    """
    kept = without_files(cfg.to_dict())
    names, place = Names(), top(kept)
    for key in _OF_A_RUN:
        kept.pop(key, None)
    plain = _plain(kept, names, place.scope)
    for key, value in [*plain.items()]:
        # A variable of the file, such as a URL of weights, whose use was removed.
        if isinstance(value, str) and key != 'default_scope':
            if find_fault(Place(key, key, place.scope), value, names):
                del plain[key]
    require_harmless(plain, source)
    if from_text(to_text(plain), source) != plain:
        raise ConfigError(f'{source}: has values that are not Python literals')
    return plain


def _plain(part: Any, names: Names, scope: str) -> Any:
    if isinstance(part, Mapping):
        items = {key: _plain(value, names, scope) for key, value in part.items()}
        if isinstance(items.get('vis_backends'), list | tuple):
            items['vis_backends'] = [*filter(_is_local, items['vis_backends'])]
        return items
    if isinstance(part, list | tuple | set):
        return type(part)(_plain(item, names, scope) for item in part)
    if isinstance(part, str):
        if OUTSIDE.match(part):
            return _relative(part)
        if part.partition('.')[0] in (*SCOPES, 'mmcv', 'torch') and not names.find(part, scope):
            # New-style configs refer to classes by their modules.
            return names.name_of(get_object_from_string(part), scope) or part
        return part
    if callable(part):
        return names.name_of(part, scope) or part
    return part


def _is_local(backend: Any) -> bool:
    kind = backend.get('type') if isinstance(backend, Mapping) else None
    return isinstance(kind, str) and kind.rpartition('.')[2] in LOCAL_BACKENDS


def _relative(text: str) -> str:
    """Return a path relative to the current or home folder, other paths relative to their root."""
    path = Path(text).expanduser()
    for folder in (Path.cwd(), Path.home()):
        if path.is_relative_to(folder):
            path = path.relative_to(folder)
    parts = [part for part in path.parts if part not in ('..', path.anchor)]
    return '/'.join(parts) + ('/' if text.endswith(('/', '\\')) and parts else '')


def to_text(plain: Mapping[str, Any]) -> str:
    """Format a Python file with one assignment of a literal per key, which mmengine reads too."""
    lines = [
        f'{key} = {pformat(value, width=100, sort_dicts=False)}' for key, value in plain.items()
    ]
    return '\n'.join(lines) + '\n'


def from_text(text: str, source: str) -> dict[str, Any]:
    """Read the result of `to_text`; nothing in it is executed.

    Raises:
        ConfigError: If it has anything but assignments of literals.
    """
    plain: dict[str, Any] = {}
    try:
        for statement in ast.parse(text).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=key)], value=value):
                    plain[key] = ast.literal_eval(value)
                case _:
                    code = ast.unparse(statement).splitlines()[0][:60]
                    raise ValueError(f'`{code}` is not an assignment')
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        reason = str(error).partition(':')[0] or type(error).__name__
        raise ConfigError(
            f'{source}: refused, because it is a program and not data ({reason}); '
            'expected assignments of literals, as written by mmsmt hub save'
        ) from error
    return plain

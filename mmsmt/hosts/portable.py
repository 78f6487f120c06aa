"""Configs as data: without a machine's paths, written as literals, read without running them."""

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

# What belongs to a run, and imports, which no folder can carry.
_OF_A_RUN = ('load_from', 'resume', 'work_dir', 'launcher', 'local_rank', 'custom_imports')


def to_portable(cfg: Config, source: str) -> dict[str, Any]:
    """A whole config as plain data that means the same on another machine.

    Files of weights, trackers of experiments and what belongs to a run are left out. Absolute
    paths become relative, and classes, which new-style configs hold, their registered names.

    Args:
        cfg: Any training config.
        source: What it is called in messages.

    Raises:
        ConfigError: If it holds what cannot be carried over or would be refused on reading.
    """
    kept = without_files(cfg.to_dict())
    names, place = Names(), top(kept)
    for key in _OF_A_RUN:
        kept.pop(key, None)
    plain = _plain(kept, names, place.scope)
    for key, value in [*plain.items()]:
        # A variable of the file, an address of weights say; what uses it is gone.
        if isinstance(value, str) and key != 'default_scope':
            if find_fault(Place(key, key, place.scope), value, names):
                del plain[key]
    require_harmless(plain, source)
    if from_text(to_text(plain), source) != plain:
        raise ConfigError(f'{source}: has values that are no Python literals')
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
            # New-style configs name classes by their modules.
            return names.name_of(get_object_from_string(part), scope) or part
        return part
    if callable(part):
        return names.name_of(part, scope) or part
    return part


def _is_local(backend: Any) -> bool:
    kind = backend.get('type') if isinstance(backend, Mapping) else None
    return isinstance(kind, str) and kind.rpartition('.')[2] in LOCAL_BACKENDS


def _relative(text: str) -> str:
    """A path below the current or the home folder from there, others from their root."""
    path = Path(text).expanduser()
    for folder in (Path.cwd(), Path.home()):
        if path.is_relative_to(folder):
            path = path.relative_to(folder)
    parts = [part for part in path.parts if part not in ('..', path.anchor)]
    return '/'.join(parts) + ('/' if text.endswith(('/', '\\')) and parts else '')


def to_text(plain: Mapping[str, Any]) -> str:
    """A Python file with an assignment of a literal for every key, which mmengine reads too."""
    lines = [
        f'{key} = {pformat(value, width=100, sort_dicts=False)}' for key, value in plain.items()
    ]
    return '\n'.join(lines) + '\n'


def from_text(text: str, source: str) -> dict[str, Any]:
    """Read what `to_text` wrote; nothing in it is run.

    Raises:
        ConfigError: If there is anything but assignments of literals.
    """
    plain: dict[str, Any] = {}
    try:
        for statement in ast.parse(text).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=key)], value=value):
                    plain[key] = ast.literal_eval(value)
                case _:
                    code = ast.unparse(statement).splitlines()[0][:60]
                    raise ValueError(f'`{code}` is no assignment')
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        reason = str(error).partition(':')[0] or type(error).__name__
        raise ConfigError(
            f'{source}: refused, it is a program and not data ({reason}); '
            'expected assignments of literals, as mmsmt hub save writes them'
        ) from error
    return plain

"""Check for unknown types and misspelt arguments, anywhere in a config."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.model import BaseModule

from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.registries import (
    Part,
    Role,
    find_types,
    name_one_of,
    parts_of,
    suggest_type,
)
from mmsmt.checks.config.signatures import accepted_arguments
from mmsmt.checks.config.unregistered import find_unregistered
from mmsmt.text import nearest, shorten

# Keys reserved by mmengine's configs and registries.
_RESERVED = {'type', '_scope_', '_delete_'}
# Minimum similarity to a known name that counts as misspelt, if a class accepts any name.
_MISSPELT = 0.9
# Parts of a model that are built by its constructor.
_BUILT = re.compile(r'model\b(?!.*\.(init_cfg|nms)\b)')


def check_arguments(
    config: Any, scope: str, built: bool, skipped: Sequence[str] = ()
) -> Iterator[Finding]:
    """Find unknown types and arguments, and correct those that resemble a known name.

    The corrections, made in place, let the checks that build something continue. Parts of a model
    that could be built are not reported, also if a module removes entries from a part before it
    builds it. Parts inside those of the keys `skipped` are left out.
    """
    for part in parts_of(config):
        inside = any(part.key.startswith(f'{key}.') for key in skipped)
        if not inside and not (built and _BUILT.match(part.key)):
            yield from _check_part(part, part.scope or scope)


def _check_part(part: Part, scope: str) -> Iterator[Finding]:
    key, config, role = part.key, part.config, part.role
    kind, what = config.get('type', role.default), role.what or 'module'
    if kind is None and what == 'initializer' and _initializes_itself(part.parent, scope):
        return
    if kind is None:
        yield Finding(key, 'has no `type`', f'set the type of the {what} to build here')
        return
    targets = [kind] if callable(kind) else []  # new-style configs contain the class itself
    if isinstance(kind, str):
        targets = find_types(kind, scope, role.registries)
    elif not targets:
        yield Finding(
            f'{key}.type', f'{kind!r} is not a type', f'set the name of the {what} as a string'
        )
        return
    if not targets and (module := find_unregistered(kind.rpartition('.')[2], scope)):
        right = f'it is defined in {module}: install the package that it needs, or register it'
        yield Finding(f'{key}.type', f'{kind!r} is not registered', right, needs_package=True)
        return
    if not targets:
        elsewhere = role.registries and find_types(kind, scope, ())
        wrong = f'{kind!r} is not a {what}' if elsewhere else f'unknown {what} {kind!r}'
        near = suggest_type(kind, scope, role.registries)
        if near or role.what:  # otherwise it may not be a module, and its builder reports it
            right = f'did you mean {near!r}?' if near else name_one_of(scope)
            yield Finding(f'{key}.type', wrong, right)
        if near and _takes(find_types(near, scope, role.registries), config, role):
            config['type'] = near
        return  # the arguments of a guess are unknown
    known, anything = _known_arguments(targets, role)
    owner = getattr(targets[0], '__name__', str(targets[0]))
    for name in [name for name in config if name not in known | _RESERVED]:
        if anything and not nearest(name, known, _MISSPELT):
            continue
        near, value = nearest(name, known), config.pop(name)
        if near:
            config.setdefault(near, value)
        right = f'did you mean {near!r}?' if near else f'its arguments: {shorten(known)}'
        yield Finding(f'{key}.{name}', f'{owner} has no argument {name!r}', right)


def _known_arguments(targets: list[Any], role: Role) -> tuple[set[str], bool]:
    """Return the argument names of several classes, and whether one of them accepts any name."""
    accepted = [accepted_arguments(target) for target in targets]
    known = {*role.extra}.union(*(names for names, _ in accepted))
    return known, any(more for _, more in accepted)


def _takes(targets: list[Any], config: Any, role: Role) -> bool:
    """Return whether a suggested class takes all arguments, and so may be what was meant."""
    known, anything = _known_arguments(targets, role)
    return anything or set(config) <= known | _RESERVED


def _initializes_itself(parent: Any, scope: str) -> bool:
    """Return whether a host's module reads its `init_cfg` itself, as PVT does."""
    if not isinstance(parent, str) or parent.startswith('mmsmt.'):
        return False
    found = find_types(parent, scope, ())
    kinds: list[Any] = [
        kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseModule)
    ]
    return any(kind.init_weights is not BaseModule.init_weights for kind in kinds)

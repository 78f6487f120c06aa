"""Unknown types and misspelt arguments, anywhere in a config."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.roles import DATALOADER, Part, parts_of
from mmsmt.checks.config.signatures import accepted_arguments
from mmsmt.checks.config.types import find_types, suggest_type
from mmsmt.text import nearest, shorten

# Keys that mmengine's configs and registries keep for themselves.
_RESERVED = {'type', '_scope_', '_delete_'}
# Where a class takes any name, only what is this similar to a known one counts as misspelt.
_MISSPELT = 0.9
# Parts of a model that its constructor leaves alone.
_UNBUILT = {'init_cfg', 'nms'}


def check_arguments(config: Any, scope: str, built: bool = False) -> list[Finding]:
    """Find unknown types and arguments, and correct those that resemble a right name.

    The corrections let the checks that build something go on to the next problem.

    Args:
        config: A config, changed where a finding names what is right.
        scope: Its default scope.
        built: The model could be built. Its parts are then right, also where a module takes
            entries out of a part of its own before it builds it.

    Returns:
        The findings, in the order of the config.
    """
    return [
        finding
        for part in parts_of(config)
        if not (built and part.path[0] == 'model' and not _UNBUILT & set(part.path))
        for finding in _check_part(part, scope)
    ]


def _check_part(part: Part, scope: str) -> Iterator[Finding]:
    scope = part.scope or scope
    kind = part.config.get('type', part.role.default)
    if kind is None:
        yield Finding(
            part.key, 'has no `type`', f'name the {part.role.what} that is to be built here'
        )
        return
    targets = _find_targets(kind, part, scope)
    if not targets:
        finding, near = _unknown_type(kind, part, scope)
        yield finding
        if near is None:
            return
        part.config['type'] = near
        targets = find_types(near, scope, part.role.registries)
    accepted = [accepted_arguments(target) for target in targets]
    known = part.role.extra.union(*(names for names, _ in accepted))
    unknown = [name for name in part.config if name not in known | _RESERVED]
    for name in unknown:
        if not any(more for _, more in accepted) or nearest(name, known, _MISSPELT):
            yield _unknown_argument(name, part, _name(targets[0]), known)


def _find_targets(kind: Any, part: Part, scope: str) -> list[Any]:
    if part.role is DATALOADER:
        return [DataLoader]
    if not isinstance(kind, str):  # configs in pure Python name the class itself
        return [kind] if callable(kind) else []
    return find_types(kind, scope, part.role.registries)


def _unknown_type(kind: Any, part: Part, scope: str) -> tuple[Finding, str | None]:
    key = f'{part.key}.type'
    what = part.role.what or 'module'
    if not isinstance(kind, str):
        return Finding(key, f'{kind!r} is no type', f'name the {what} as a text'), None
    elsewhere = part.role.registries and find_types(kind, scope, ())
    near = suggest_type(kind, scope, part.role.registries)
    wrong = f'{kind!r} is no {what}' if elsewhere else f'unknown {what} {kind!r}'
    others = f'name one of {scope}, or of the packages in `custom_imports`'
    right = f'did you mean {near!r}?' if near else others
    return Finding(key, wrong, right), near


def _unknown_argument(name: str, part: Part, owner: str, known: frozenset[str]) -> Finding:
    near = nearest(name, known)
    value = part.config.pop(name)
    if near:
        part.config.setdefault(near, value)
    right = f'did you mean {near!r}?' if near else f'it takes: {shorten(known)}'
    return Finding(f'{part.key}.{name}', f'{owner} has no argument {name!r}', right)


def _name(target: Any) -> str:
    return getattr(target, '__name__', str(target))

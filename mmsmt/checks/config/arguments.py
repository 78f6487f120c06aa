"""Unknown types and misspelt arguments, anywhere in a config."""

import re
from collections.abc import Iterator
from typing import Any

from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.registries import Part, find_types, parts_of, suggest_type
from mmsmt.checks.config.signatures import accepted_arguments
from mmsmt.text import nearest, shorten

# Keys that mmengine's configs and registries keep for themselves.
_RESERVED = {'type', '_scope_', '_delete_'}
# Similarity to a known name from which another counts as misspelt, where a class takes any name.
_MISSPELT = 0.9
# Parts of a model that its constructor builds.
_BUILT = re.compile(r'model\b(?!.*\.(init_cfg|nms)\b)')


def check_arguments(config: Any, scope: str, built: bool) -> Iterator[Finding]:
    """Find unknown types and arguments, and correct those that resemble a right name.

    The corrections, in place, let the checks that build something go on to the next problem.
    Parts of a model that was built are right, also where a module takes entries out of a part of
    its own before it builds it.
    """
    for part in parts_of(config):
        if not (built and _BUILT.match(part.key)):
            yield from _check_part(part, part.scope or scope)


def _check_part(part: Part, scope: str) -> Iterator[Finding]:
    key, config, role, _ = part
    kind, what = config.get('type', role.default), role.what or 'module'
    if kind is None:
        yield Finding(key, 'has no `type`', f'name the {what} that is to be built here')
        return
    targets = [kind] if callable(kind) else []  # configs in pure Python name the class itself
    if isinstance(kind, str):
        targets = find_types(kind, scope, role.registries)
    elif not targets:
        yield Finding(f'{key}.type', f'{kind!r} is no type', f'name the {what} as a text')
        return
    if not targets:
        elsewhere = role.registries and find_types(kind, scope, ())
        wrong = f'{kind!r} is no {what}' if elsewhere else f'unknown {what} {kind!r}'
        near = suggest_type(kind, scope, role.registries)
        others = f'name one of {scope}, or of the packages in `custom_imports`'
        yield Finding(f'{key}.type', wrong, f'did you mean {near!r}?' if near else others)
        if near is None:
            return
        config['type'] = near
        targets = find_types(near, scope, role.registries)
    accepted = [accepted_arguments(target) for target in targets]
    known = {*role.extra}.union(*(names for names, _ in accepted))
    anything = any(more for _, more in accepted)
    owner = getattr(targets[0], '__name__', str(targets[0]))
    for name in [name for name in config if name not in known | _RESERVED]:
        if anything and not nearest(name, known, _MISSPELT):
            continue
        near, value = nearest(name, known), config.pop(name)
        if near:
            config.setdefault(near, value)
        right = f'did you mean {near!r}?' if near else f'it takes: {shorten(known)}'
        yield Finding(f'{key}.{name}', f'{owner} has no argument {name!r}', right)

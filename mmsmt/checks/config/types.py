"""From the `type` of a part to what it is built from, and to the names that could stand there."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import mmengine.registry
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from mmsmt.text import nearest

OWN = 'mmsmt'
# Among hundreds of names, difflib's 0.6 takes `XBertEncoder` for `MAEPretrainDecoder`.
_SIMILAR = 0.75


def find_types(name: str, scope: str, registries: tuple[Registry, ...]) -> list[Any]:
    """Everything that a `type` can mean.

    Args:
        name: `ResNet`, `mmdet.ResNet`, or the whole way to an object.
        scope: Scope of the config, a package with registries.
        registries: Where to look; empty for all that mmengine and the scope have.

    Returns:
        Classes or functions, none where nothing of this name is registered.
    """
    prefix, bare = Registry.split_scope_key(name)
    found = [
        registry.module_dict[bare]
        for root in registries or all_registries(prefix or scope)
        for registry in _chain(root, prefix, scope)
        if bare in registry.module_dict
    ]
    if not found and name.count('.') > 1 and _is_package(name.partition('.')[0]):
        found = [get_object_from_string(name)]
    if not found and not registries and _is_package('mmcv.ops'):
        # `nms=dict(type='nms')` and `roi_layer=dict(type='RoIAlign')` name operators of mmcv.
        found = [getattr(import_module('mmcv.ops'), name, None)]
    return list(dict.fromkeys(f for f in found if f is not None))


def suggest_type(name: str, scope: str, registries: tuple[Registry, ...]) -> str | None:
    """The registered name that is nearest to a wrong one, with a scope where it needs one."""
    prefix, bare = Registry.split_scope_key(name)
    names: dict[str, str] = {}
    for package in dict.fromkeys((OWN, prefix or scope, scope)):
        if not _is_package(package):
            continue
        for root in registries or all_registries(package):
            for registry in _chain(root, None, package):
                own = registry.scope in (scope, 'mmengine')
                names |= {n: n if own else f'{registry.scope}.{n}' for n in registry.module_dict}
    found = nearest(bare, names, _SIMILAR)
    return names[found] if found else None


@cache
def all_registries(scope: str) -> tuple[Registry, ...]:
    """The roots of all registries of mmengine and of a package."""
    modules = [mmengine.registry]
    if _is_package(f'{scope}.registry'):
        modules.append(import_module(f'{scope}.registry'))
    found = [v for module in modules for v in vars(module).values() if isinstance(v, Registry)]
    return tuple(dict.fromkeys(registry._get_root_registry() for registry in found))


def _chain(root: Registry, prefix: str | None, scope: str) -> Iterator[Registry]:
    """The registries in which mmengine looks: of the prefix alone, or of the scope and above."""
    wanted = prefix or scope
    if not _is_package(f'{wanted}.registry'):
        return
    with root.switch_scope_and_registry(wanted) as registry:
        start: Registry | None = registry
    if prefix and registry.scope != prefix:
        return
    while start is not None:
        start.import_from_location()
        yield start
        start = None if prefix else start.parent


@cache
def _is_package(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False

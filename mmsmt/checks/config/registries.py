"""Registries for the parts of a config, and look-up of their types."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from mmengine import registry as root
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

from mmsmt.text import nearest

HOSTS = ('mmpretrain', 'mmdet', 'mmseg')
# With difflib's 0.6 `XBertEncoder` would match `MAEPretrainDecoder` among hundreds of names.
_SIMILAR = 0.75


class Role(NamedTuple):
    """The role of a dictionary in a config; `extra` are keys removed before it is built."""

    pattern: str  # of its key, without indices
    what: str = ''  # for messages; empty if it can be anything
    registries: tuple[Registry, ...] = ()  # empty for all
    default: str | None = None  # type if the config may omit it
    extra: tuple[str, ...] = ()


class Part(NamedTuple):
    """A dictionary of a config from which something is built, in the registries of a scope."""

    key: str
    config: dict[str, Any]
    role: Role
    scope: str | None
    parent: Any = None  # type of the enclosing dictionary


_ANY = Role('.*')
_LOADER = ('num_batch_per_epoch', 'collate_fn', 'worker_init_fn')
_SCHEDULER = ('convert_to_iter_based', 'epoch_length')
_WRAPPER = ('constructor', 'paramwise_cfg')
_POLICY = ('magnitude_key', 'magnitude_range')
# The first match counts. Top-level entries with other names are variables.
_ROLES = (
    Role('(tta_)?model', 'module', (root.MODELS,)),
    Role('(train|val|test)_dataloader', 'dataloader', (), 'torch.utils.data.DataLoader', _LOADER),
    Role(r'\w+_dataloader\.(batch_)?sampler', 'sampler', (root.DATA_SAMPLERS,)),
    Role('optim_wrapper', 'optimizer wrapper', (root.OPTIM_WRAPPERS,), 'OptimWrapper', _WRAPPER),
    Role('param_scheduler', 'scheduler', (root.PARAM_SCHEDULERS,), extra=_SCHEDULER),
    Role(r'custom_hooks|default_hooks\.\w+', 'hook', (root.HOOKS,), extra=('priority',)),
    Role('(val|test)_evaluator', 'metric', (root.METRICS, root.EVALUATOR)),
    Role('train_cfg', 'loop', (root.LOOPS,)),
    Role('val_cfg', 'loop', (root.LOOPS,), 'ValLoop'),
    Role('test_cfg', 'loop', (root.LOOPS,), 'TestLoop'),
    Role('visualizer', 'visualizer', (root.VISUALIZERS,)),
    Role('log_processor', 'log processor', (root.LOG_PROCESSORS,), 'LogProcessor'),
    Role(r'tta_pipeline|.+\.(pipeline|transforms)', 'transform', (root.TRANSFORMS,)),
    Role(r'.+\.datasets?', 'data set', (root.DATASETS,)),
    Role(r'.+\.optimizer', 'optimizer', (root.OPTIMIZERS,)),
    Role(r'.+\.vis_backends', 'visualization backend', (root.VISBACKENDS,)),
    Role(r'.+\.init_cfg', 'initializer', (root.WEIGHT_INITIALIZERS,), extra=('override',)),
    # Removed by mmpretrain's `AutoAugment`, mmcv's `batched_nms` and `build_norm_layer`.
    Role(r'.+\.policies', 'transform', (root.TRANSFORMS,), extra=_POLICY),
    Role(r'.+\.nms', extra=('class_agnostic', 'split_thr')),
    Role(r'.+\.\w*norm_cfg', extra=('requires_grad',)),
)


def parts_of(config: Any) -> Iterator[Part]:
    """Yield every part of a config from which training or testing builds something.

    Variables (`train_pipeline`) are not parts, but their uses are.
    """
    for name, value in config.items():
        if _role(name) is not _ANY or name == 'default_hooks':
            yield from _walk(value, name)


@cache
def _role(key: str) -> Role:
    key = re.sub(r'\[\d+\]', '', key)
    return next((role for role in _ROLES if re.fullmatch(role.pattern, key)), _ANY)


def _walk(value: Any, key: str, scope: str | None = None, parent: Any = '') -> Iterator[Part]:
    if isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _walk(inner, f'{key}[{i}]', scope, parent)
    elif isinstance(value, dict):
        # mmengine builds nested parts in the same scope, whatever the prefix of the type.
        scope = value.get('_scope_') or scope
        role, kind = _role(key), value.get('type')
        if key == 'train_cfg' and kind is None:  # mmengine selects the loop by `by_epoch`
            unit = 'Epoch' if value.get('by_epoch', 'max_epochs' in value) else 'Iter'
            role = role._replace(default=f'{unit}BasedTrainLoop', extra=('by_epoch',))
        if role.what == 'initializer' and str(parent).startswith('mmsmt.'):
            # Our backbones load `Pretrained` themselves and accept what may differ.
            role = role._replace(extra=(*role.extra, 'allow'))
        if 'type' in value or role.what:
            yield Part(key, value, role, scope, parent)
        if role.what == 'transform' and str(kind).rpartition('.')[2].startswith('Albu'):
            return  # nested parts are albumentations'
        for name, inner in value.items():
            yield from _walk(inner, f'{key}.{name}', scope, kind)


def find_types(name: str, scope: str, registries: tuple[Registry, ...]) -> list[Any]:
    """Return the classes and functions that a `type` can mean, in all registries if none given."""
    prefix, bare = Registry.split_scope_key(name)
    found = []
    for registry in _search_order(registries, prefix or scope):
        if not prefix or registry.scope == prefix:  # with a prefix mmengine looks only there
            found.append(registry.module_dict.get(bare))
    if not any(found) and name.count('.') > 1 and _is_package(name.partition('.')[0]):
        found = [get_object_from_string(name)]
    if not any(found) and not registries and _is_package('mmcv.ops'):
        # `nms=dict(type='nms')` and `roi_layer=dict(type='RoIAlign')` name operators of mmcv.
        found = [getattr(import_module('mmcv.ops'), name, None)]
    return list(dict.fromkeys(f for f in found if f is not None))


def name_one_of(scope: str) -> str:
    """Return advice for a type that resembles no known name."""
    return f'name one of {scope}, or of the packages in `custom_imports`'


def find_scope(name: str) -> str | None:
    """Return the host that has a model of this type, or None if it is unknown or mmengine's."""
    if find_types(name, 'mmengine', (root.MODELS,)):
        return None
    hosts = [host for host in HOSTS if _is_package(host)]
    return next((host for host in hosts if find_types(name, host, (root.MODELS,))), None)


def suggest_type(name: str, scope: str, registries: tuple[Registry, ...]) -> str | None:
    """Return the nearest registered name, with a scope if it needs one."""
    prefix, bare = Registry.split_scope_key(name)
    names: dict[str, str] = {}
    for package in dict.fromkeys(('mmsmt', prefix or scope, scope)):
        for registry in _search_order(registries, package):
            short = registry.scope in (scope, 'mmengine')
            names |= {n: n if short else f'{registry.scope}.{n}' for n in registry.module_dict}
    found = nearest(bare, names, _SIMILAR)
    return names[found] if found else None


def _search_order(registries: tuple[Registry, ...], scope: str) -> Iterator[Registry]:
    """Yield the registries of a scope and their parents, in mmengine's order of look-up."""
    if _is_package(f'{scope}.registry'):
        for top in registries or _all_registries(scope):
            with top.switch_scope_and_registry(scope) as found:
                registry: Registry | None = found
            while registry is not None:
                registry.import_from_location()
                yield registry
                registry = registry.parent


@cache
def _all_registries(scope: str) -> tuple[Registry, ...]:
    """Return the root registries of mmengine and of a package."""
    found = {**vars(root), **vars(import_module(f'{scope}.registry'))}.values()
    return tuple(dict.fromkeys(r._get_root_registry() for r in found if isinstance(r, Registry)))


@cache
def _is_package(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False

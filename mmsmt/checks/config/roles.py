"""Which registry a part of a config is built from, by where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mmengine import registry as root

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Role:
    """What a dictionary of a config is for.

    Args:
        what: In words, for messages; empty where anything may stand.
        registries: Where its `type` is looked up; empty for all.
        default: The type where the config names none; None where it has to.
        extra: Keys that mmengine takes out before it builds.
    """

    what: str = ''
    registries: tuple[root.Registry, ...] = ()
    default: str | None = None
    extra: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Part:
    """A dictionary of a config from which something is built.

    Args:
        path: Keys and indices from the top of the config.
        config: The dictionary itself.
        role: What it is for.
        scope: Package in whose registries its type is looked up; None for the config's default.
    """

    path: Path
    config: dict[str, Any]
    role: Role
    scope: str | None = None

    @property
    def key(self) -> str:
        """The path as users write it: `model.decode_head.loss_decode[0]`."""
        return spell(self.path)


def spell(path: Path) -> str:
    """A path as users write it."""
    names = (f'[{p}]' if isinstance(p, int) else f'.{p}' for p in path)
    return ''.join(names).removeprefix('.')


ANY = Role()
_MODULE = Role('module', (root.MODELS,))
_HOOK = Role('hook', (root.HOOKS,), extra=frozenset({'priority'}))
_SAMPLER = Role('sampler', (root.DATA_SAMPLERS,))
_TRANSFORM = Role('transform', (root.TRANSFORMS,))
_SCHEDULER = Role(
    'scheduler',
    (root.PARAM_SCHEDULERS,),
    extra=frozenset({'convert_to_iter_based', 'epoch_length'}),
)
_METRIC = Role('metric', (root.METRICS, root.EVALUATOR))
_BACKEND = Role('visualization backend', (root.VISBACKENDS,))
_WRAPPER = Role(
    'optimizer wrapper',
    (root.OPTIM_WRAPPERS,),
    default='OptimWrapper',
    extra=frozenset({'constructor', 'paramwise_cfg'}),
)
# mmcv freezes a norm by `requires_grad` before it builds it.
_NORM = Role(extra=frozenset({'requires_grad'}))
_TOP = {
    'model': _MODULE,
    'tta_model': _MODULE,
    'optim_wrapper': _WRAPPER,
    'param_scheduler': _SCHEDULER,
    'custom_hooks': _HOOK,
    'val_evaluator': _METRIC,
    'test_evaluator': _METRIC,
    'tta_pipeline': _TRANSFORM,
    'visualizer': Role('visualizer', (root.VISUALIZERS,)),
    'log_processor': Role('log processor', (root.LOG_PROCESSORS,), default='LogProcessor'),
    'val_cfg': Role('loop', (root.LOOPS,), default='ValLoop'),
    'test_cfg': Role('loop', (root.LOOPS,), default='TestLoop'),
}
INITIALIZER = Role('initializer', (root.WEIGHT_INITIALIZERS,), extra=frozenset({'override'}))
# This suite's backbones load `Pretrained` themselves and can be told what may differ.
_OWN_INITIALIZER = replace(INITIALIZER, extra=INITIALIZER.extra | {'allow'})
# mmcv's `batched_nms` and mmpretrain's `AutoAugment` take these out themselves.
_NMS = Role(extra=frozenset({'class_agnostic', 'split_thr'}))
_POLICY = replace(_TRANSFORM, extra=frozenset({'magnitude_key', 'magnitude_range'}))
_NESTED = {
    'nms': _NMS,
    'policies': _POLICY,
    'dataset': Role('data set', (root.DATASETS,)),
    'datasets': Role('data set', (root.DATASETS,)),
    'pipeline': _TRANSFORM,
    'transforms': _TRANSFORM,
    'optimizer': Role('optimizer', (root.OPTIMIZERS,)),
    'vis_backends': _BACKEND,
}
# Not built by a registry: `torch.utils.data.DataLoader` takes what mmengine leaves over.
DATALOADER = Role(
    'dataloader',
    default='torch.utils.data.DataLoader',
    extra=frozenset({'num_batch_per_epoch', 'collate_fn', 'worker_init_fn'}),
)
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def parts_of(config: Any) -> Iterator[Part]:
    """Every part of a config from which training or testing builds something.

    Variables (`train_pipeline`) are not parts; what uses them is.
    """
    for name, value in config.items():
        if name in _LOADERS:
            yield from _parts_of_loader(name, value)
        elif name == 'default_hooks':
            for hook, inner in (value or {}).items():
                yield from _walk(inner, (name, hook), _HOOK)
        elif name == 'train_cfg':
            yield from _walk(value, (name,), _loop_role(value or {}))
        elif name in _TOP:
            yield from _walk(value, (name,), _TOP[name])


def _loop_role(config: dict[str, Any]) -> Role:
    """mmengine chooses the loop by `by_epoch` where no type is given."""
    if 'type' in config:
        return Role('loop', (root.LOOPS,))
    by_epoch = config.get('by_epoch', 'max_epochs' in config)
    default = 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'
    return Role('loop', (root.LOOPS,), default=default, extra=frozenset({'by_epoch'}))


def _parts_of_loader(name: str, value: Any) -> Iterator[Part]:
    if isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _walk(inner, (name, i), DATALOADER)
    elif value:
        yield from _walk(value, (name,), DATALOADER)


def _walk(value: Any, path: Path, role: Role, scope: str | None = None) -> Iterator[Part]:
    if isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _walk(inner, (*path, i), role, scope)
    elif isinstance(value, dict):
        # mmengine builds what is inside in the same scope: a prefix of the type changes nothing.
        scope = value.get('_scope_') or scope
        if 'type' in value or role.what:
            yield Part(path, value, role, scope)
        for name, inner in value.items():
            yield from _walk(inner, (*path, name), _role_below(role, value, name), scope)


def _role_below(role: Role, config: dict[str, Any], name: str) -> Role:
    if role is DATALOADER and name in ('sampler', 'batch_sampler'):
        return _SAMPLER
    if name == 'init_cfg':
        own = str(config.get('type')).startswith('mmsmt.')
        return _OWN_INITIALIZER if own else INITIALIZER
    return _NORM if name.endswith('norm_cfg') else _NESTED.get(name, ANY)

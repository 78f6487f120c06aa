"""Length of training: the epochs of the loop, the schedules and what depends on them."""

from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmsmt.engine.distributed import planned_processes
from mmsmt.errors import UsageError

# Fields of schedules, loops and hooks that count epochs, or iterations in iteration-based training.
_POINTS = ('begin', 'end', 'milestones', 'T_max', 'step_size', 'periods', 'restarts')
_PLACES = ('dynamic_intervals', 'switch_epoch', 'switch_iter', 'val_begin')


def set_epochs(cfg: Config, epochs: int) -> None:
    """Set the number of epochs, and scale the schedules in proportion, in place.

    A warm-up counted in iterations is unchanged, unless the loop counts iterations too. Such a loop
    runs for as many iterations as these epochs take, and keeps the number of its validations and
    checkpoints.

    Args:
        cfg: Training config, after all other options.
        epochs: Number of epochs, at least 1.

    Raises:
        UsageError: If the number is less than 1, or the config does not define the length.
    """
    if epochs < 1:
        raise UsageError(f'--epochs must be at least 1, got {epochs}')
    by_epoch = 'max_epochs' in cfg.train_cfg
    unit = 'max_epochs' if by_epoch else 'max_iters'
    if unit not in cfg.train_cfg:
        raise UsageError('--epochs needs `train_cfg.max_epochs` or `max_iters` in the config')
    length = epochs if by_epoch else epochs * epoch_length(cfg)
    factor = length / cfg.train_cfg[unit]
    if not by_epoch:
        checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        _scale(checkpoint, ('interval',), factor)
        _scale(cfg.train_cfg, ('val_interval',), factor)
    for part in (cfg.train_cfg, *(cfg.get('custom_hooks') or ())):
        _scale(part, _PLACES, factor)
    schedules = cfg.get('param_scheduler') or []
    schedules = schedules if isinstance(schedules, list | tuple) else [schedules]
    for schedule in schedules:
        if schedule.get('by_epoch', True) == by_epoch:
            _scale(schedule, _POINTS, factor)
    # mmengine refuses a schedule that begins at its end, which can happen in short training.
    cfg.param_scheduler = [
        s
        for s in schedules
        if s.get('by_epoch', True) != by_epoch or s.get('begin', 0) < s.get('end', length)
    ]
    cfg.train_cfg[unit] = length


def epoch_length(cfg: Config) -> int:
    """Return the iterations per epoch; the training set is built to be counted."""
    loader = cfg.train_dataloader
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    images = loader.batch_size * planned_processes(cfg.get('launcher', 'none'))
    return max(1, round(len(DATASETS.build(loader.dataset)) / images))


def _scale(part: Any, fields: tuple[str, ...], factor: float) -> None:
    for field in fields:
        if part.get(field) is not None:
            part[field] = _scaled(part[field], factor)


def _scaled(value: Any, factor: float) -> Any:
    """Scale a point or points in time; those after the start stay after it."""
    if isinstance(value, list | tuple):
        # `dynamic_intervals` are pairs of a point in time and an interval, which is not scaled.
        return [
            (_scaled(v[0], factor), v[1]) if isinstance(v, list | tuple) else _scaled(v, factor)
            for v in value
        ]
    return max(1, round(value * factor)) if value > 0 else value

"""Choice of the metric for `--save-best` and `--early-stop`."""

from typing import Any

from mmengine.config import Config

from mmsmt.errors import UsageError

# The first result of the common evaluators, by name without the host's scope.
_METRICS = {
    'Accuracy': lambda it: f'accuracy/top{_first(it.get("topk", 1))}',
    'MultiLabelMetric': lambda it: 'multi-label/f1-score',
    'CocoMetric': lambda it: f'{it.get("prefix") or "coco"}/{_first(it.get("metric"))}_mAP',
    'LVISMetric': lambda it: f'{it.get("prefix") or "lvis"}/{_first(it.get("metric"))}_AP',
    'VOCMetric': lambda it: f'{it.get("prefix") or "pascal_voc"}/mAP',
    'CocoPanopticMetric': lambda it: f'{it.get("prefix") or "coco_panoptic"}/PQ',
    'IoUMetric': lambda it: _first(it.get('iou_metrics', 'mIoU')),
}


def keep_best(cfg: Config, metric: str, patience: int | None, save: bool) -> None:
    """Configure saving of the best checkpoint, or early stopping, in place.

    Args:
        cfg: Training config.
        metric: Name of the metric in the evaluator's results; empty for the config's `save_best`,
            or the main metric of its evaluator (box AP, mIoU, top-1).
        patience: Validations without improvement before stopping; None to never stop.
        save: Whether to save the best checkpoint.

    Raises:
        UsageError: If there is no validation, the patience is less than 1, or the metric must be
            named.
    """
    option = '--save-best' if save else '--early-stop'
    if not cfg.get('val_dataloader') or not cfg.get('val_evaluator'):
        raise UsageError(f'{option} needs a validation, but this config has none')
    if patience is not None and patience < 1:
        raise UsageError(f'--early-stop must be at least 1, got {patience}')
    metric = metric or _metric_of(cfg)
    rule = 'less' if 'loss' in metric.lower() else 'greater'
    if save:
        cfg.default_hooks.checkpoint.update(save_best=metric, rule=rule)
    if patience is not None:
        hook = dict(
            type='mmsmt.ResumableEarlyStoppingHook', monitor=metric, rule=rule, patience=patience
        )
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or ()), hook]


def _metric_of(cfg: Config) -> str:
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    given = _first(checkpoint.get('save_best'))
    if given and given != 'auto':
        return given
    evaluators = cfg.val_evaluator
    evaluators = evaluators if isinstance(evaluators, list | tuple) else [evaluators]
    names = [_name(evaluator.get('type')) for evaluator in evaluators]
    for name, evaluator in zip(names, evaluators, strict=True):
        if name in _METRICS:
            return _METRICS[name](evaluator)
    raise UsageError(
        f'the main metric of {", ".join(names)} is unknown: name it with --save-best METRIC'
    )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) else value


def _name(kind: Any) -> str:
    return str(getattr(kind, '__name__', kind)).rpartition('.')[2]

"""Trial of a config: loss, backward and prediction on two real images."""

import tempfile
import time
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from mmsmt.datasets.digits.config_adapter import put_on_digits
from mmsmt.engine.single_step import build_for_a_while, forward_and_backward


class Trial(NamedTuple):
    """What one batch of two images did.

    Args:
        loss: Of the batch.
        train_seconds: Forward and backward.
        predict_seconds: Prediction.
        without_gradient: Trainable parameters that the loss does not reach.
        results: Predictions as the host's evaluator gets them.
    """

    loss: float
    train_seconds: float
    predict_seconds: float
    without_gradient: tuple[str, ...]
    results: list[Any]


def try_config(cfg: Config, data_root: str = 'data/digits', divisor: int = 1) -> Trial:
    """Build a config's model and run loss, backward and predict on two images of digits.

    Images go through the config's own pipelines, classes are adapted, weights are random.

    Args:
        cfg: Training config; is changed.
        data_root: Folder that `prepare_digits` wrote.
        divisor: By which image sizes shrink.
    """
    put_on_digits(cfg, data_root, divisor)
    cfg.setdefault('launcher', 'none')
    for name in ('runner_type', 'strategy'):  # of several processes; this is one
        cfg.pop(name, None)
    with tempfile.TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        runner, model, wrapper = build_for_a_while(cfg)
        start = time.perf_counter()
        loss = forward_and_backward(model, wrapper, _first(runner, cfg.train_dataloader))
        trained = time.perf_counter()
        loader = cfg.get('val_dataloader') or cfg.train_dataloader
        with torch.no_grad():
            results = model.eval().val_step(_first(runner, loader))
        predicted = time.perf_counter()
    missed = tuple(n for n, p in model.named_parameters() if p.requires_grad and p.grad is None)
    return Trial(loss, trained - start, predicted - trained, missed, results)


def _first(runner: Any, loader: dict) -> Any:
    return next(iter(runner.build_dataloader(loader, seed=0)))

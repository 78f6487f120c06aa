"""Trial of a config: loss, backward and prediction with two images."""

import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from mmsmt.checks.data import explain_loader, find_places
from mmsmt.datasets.digits.config_adapter import make_small, put_on_digits
from mmsmt.engine.data_guard import READ_ERRORS
from mmsmt.engine.single_step import build_for_a_while, forward_and_backward
from mmsmt.errors import BadSampleError, UsageError
from mmsmt.hosts.config import without_files


class Trial(NamedTuple):
    """Result of one batch of two images.

    Args:
        loss: Loss of the batch.
        train_seconds: Time of forward and backward in seconds.
        predict_seconds: Time of prediction in seconds.
        without_gradient: Trainable parameters that get no gradient.
        results: Predictions as passed to the host's evaluator.
        data: Source of the images, for display.
    """

    loss: float
    train_seconds: float
    predict_seconds: float
    without_gradient: tuple[str, ...]
    results: list[Any]
    data: str


def try_config(
    cfg: Config, digits: str = 'data/digits', divisor: int = 1, own_data: bool = True
) -> Trial:
    """Build a config's model and run loss, backward and predict with two images.

    The images are from the config's own data if any of these exist, else from the digits, for which
    the numbers of classes are adapted. They go through the config's own pipelines; weights are
    random.

    Args:
        cfg: Training config; it is modified.
        digits: Folder written by `prepare_digits`.
        divisor: Factor by which image sizes shrink.
        own_data: False to always use the digits.

    Raises:
        UsageError: If neither these data nor the digits exist.
        BadSampleError: If the data cannot be read.
    """
    cfg.model = without_files(cfg.model)
    found, missing = find_places(cfg) if own_data else ([], [])
    if found:
        data = f"the config's own data, {found[0]}"
        make_small(cfg, divisor)
    else:
        why = f'; {missing[0]} is missing' if missing else ''
        if not Path(digits).is_dir():
            raise UsageError(f'{digits}: no such folder{why}: run `mmsmt prepare digits`')
        data = f'the digits in {digits}{why}'
        put_on_digits(cfg, digits, divisor)
    cfg.setdefault('launcher', 'none')
    for name in ('runner_type', 'strategy'):  # for several processes; this is one
        cfg.pop(name, None)
    with tempfile.TemporaryDirectory() as work_dir:
        cfg.work_dir = work_dir
        runner, model, wrapper = build_for_a_while(cfg)
        (batch,) = _first(runner, cfg.train_dataloader, 1)
        start = time.perf_counter()
        loss = forward_and_backward(model, wrapper, batch)
        trained = time.perf_counter()
        # One image at a time, which is all that some methods can predict.
        batches = _first(runner, cfg.get('val_dataloader') or cfg.train_dataloader, 2)
        loaded = time.perf_counter()
        with torch.no_grad():
            results = [result for batch in batches for result in model.eval().val_step(batch)][:2]
        predicted = time.perf_counter()
    missed = tuple(n for n, p in model.named_parameters() if p.requires_grad and p.grad is None)
    return Trial(loss, trained - start, predicted - loaded, missed, results, data)


def _first(runner: Any, loader: dict, number: int) -> list[Any]:
    """Return the first batches of a data loader."""
    try:
        return list(islice(runner.build_dataloader(loader, seed=0), number))
    except READ_ERRORS as error:
        reason = explain_loader(runner.cfg, loader) or f'{type(error).__name__}: {error}'
        raise BadSampleError(reason) from error

"""Hook that logs a short summary before a run starts."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from torch import nn

from mmsmt.datasets.wrappers import inner_datasets
from mmsmt.engine.hooks.strict_load import unwrap
from mmsmt.registry import HOOKS


def is_warning(record: logging.LogRecord) -> bool:
    """Filter the console before the start; details of the setup are only for the log file."""
    return record.levelno >= logging.WARNING


@HOOKS.register_module()
class StartSummaryHook(Hook):
    """Log what is trained or tested, on which data, from which weights, and where the log is.

    From then on the console shows the same as the log file, see `ToolRunner`.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.StartSummaryHook'))
    """

    priority = 'VERY_HIGH'  # before hooks that act at the start

    def __init__(self) -> None:
        self._said = False

    def before_train(self, runner: Any) -> None:
        """Log a summary of the training."""
        self._start(runner, 'train', runner.train_dataloader)

    def before_val(self, runner: Any) -> None:
        """Log a summary of the validation, unless it is part of training."""
        self._start(runner, 'validate', runner.val_dataloader)

    def before_test(self, runner: Any) -> None:
        """Log a summary of the test."""
        self._start(runner, 'test', runner.test_dataloader)

    def _start(self, runner: Any, verb: str, loader: Any) -> None:
        if self._said:
            return
        self._said = True
        for handler in runner.logger.handlers:
            handler.removeFilter(is_warning)
        facts = {
            verb: _describe_model(runner.model),
            'data': _describe_data(loader),
            'weights': ', '.join(_weights(runner)) or 'random',
            'device': _describe_device(runner.model),
            'config': runner.cfg.filename or 'built in Python',
            'log': f'{Path(runner.log_dir, runner.timestamp)}.log',
        }
        lines = [f'{name:9}{fact}' for name, fact in facts.items()]
        runner.logger.info('\n'.join(['about to start', *lines]))


def _describe_model(model: nn.Module) -> str:
    inner = unwrap(model)
    said = f'{type(inner).__name__}, {_millions(inner)} parameters'
    backbone = getattr(inner, 'backbone', None)
    return (
        said if backbone is None else f'{said}; {type(backbone).__name__} has {_millions(backbone)}'
    )


def _millions(module: nn.Module) -> str:
    return f'{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.1f} M'


def _describe_data(loader: Any) -> str:
    """Describe a data loader; custom data sets and samplers may lack any attribute."""
    dataset = loader.dataset
    samples = f'{len(dataset):,} samples' if hasattr(dataset, '__len__') else 'a stream of samples'
    batch = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 'any number')
    dataset = next(inner_datasets(dataset))
    folders = [path for path in (getattr(dataset, 'data_prefix', None) or {}).values() if path]
    where = getattr(dataset, 'ann_file', '') or next(iter(folders), '')
    size = f'{get_world_size()} x {batch} a batch'
    return f'{samples}, {size}; {type(dataset).__name__} {where}'.rstrip()


def _weights(runner: Any) -> Iterator[str]:
    """Yield the origins of the weights: a checkpoint, or pre-trained parts of the model."""
    if runner._load_from:
        yield f'{runner._load_from}{" (resumed)" * bool(runner._resume)}'
        return
    for part in runner.model.modules():
        given = getattr(part, 'init_cfg', None)
        for one in given if isinstance(given, list) else [given]:
            if isinstance(one, dict) and one.get('type') == 'Pretrained':
                yield f'{one["checkpoint"]} ({type(part).__name__})'


def _describe_device(model: nn.Module) -> str:
    device = next(model.parameters()).device
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else str(device)

"""Recipe of a config: how it trains, read from the objects that it builds.

A config shows what was written; inheritance, defaults and paramwise rules decide what is run. The
model is built without memory (meta device), and no data are read.
"""

import copy
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from mmsmt.datasets.wrappers import innermost_config
from mmsmt.engine.patches import replace_amp_without_gpu
from mmsmt.errors import UsageError
from mmsmt.hosts.meta_device import build_on_meta
from mmsmt.layers import DropPath


class RateCurve(NamedTuple):
    """Learning rate during training.

    Args:
        first: Rate of the first iteration.
        peak: Highest rate.
        warmup: Iteration at which the peak is first reached.
        drops: Epoch (iteration, in iteration-based training) to rate, where it falls by more than a
            third at once.
        last: Rate of the last iteration.
    """

    first: float
    peak: float
    warmup: int
    drops: dict[int, float]
    last: float


def _trace_rate(cfg: Config, base: float, epoch_length: int) -> RateCurve:
    """Step the config's schedulers through a whole training of one dummy parameter."""
    by_epoch = 'max_epochs' in cfg.train_cfg
    length = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    unit = epoch_length if by_epoch else 1
    iterations = length * unit
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base)
    defaults = dict(optimizer=optimizer, epoch_length=epoch_length)
    schedulers = []
    given = copy.deepcopy(cfg.get('param_scheduler') or [])
    for scheduler in given if isinstance(given, list | tuple) else [given]:
        scheduler.setdefault('end', length if scheduler.get('by_epoch', True) else iterations)
        schedulers.append(PARAM_SCHEDULERS.build(scheduler, default_args=defaults))
    rates = []
    for iteration in range(iterations):
        rates.append(optimizer.param_groups[0]['lr'])
        for scheduler in schedulers:
            if not scheduler.by_epoch or (iteration + 1) % epoch_length == 0:
                scheduler.step()
    # A cosine or polynomial falls smoothly; only its last iteration can look like a step.
    falls = [i for i in range(1, iterations) if rates[i] < rates[i - 1] * 2 / 3]
    drops = {i // unit: rates[i] for i in falls if i // unit < 0.99 * length}
    peak = max(rates)
    return RateCurve(rates[0], peak, rates.index(peak), drops, rates[-1])


def read_recipe(cfg: Config, epoch_length: int = 1000) -> dict[str, Any]:
    """Describe training with a config as a dictionary.

    Args:
        cfg: Training config.
        epoch_length: Iterations per epoch, which depend on the data set in a real run.

    Returns:
        Batch, length, optimizer, rates, decay, clipping, drop path and augmentation, by name.

    Raises:
        UsageError: If the config does not train.
    """
    for name in ('train_cfg', 'train_dataloader', 'optim_wrapper'):
        if not cfg.get(name):
            raise UsageError(f'the config has no {name}, so it does not train')
    cfg = copy.deepcopy(cfg)
    replace_amp_without_gpu(cfg)
    model = build_on_meta(cfg)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    defaults = wrapper.optimizer.defaults
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decays: dict[float, list[str]] = {}
    rates: dict[float, list[str]] = {}
    for group in wrapper.optimizer.param_groups:
        members = [names[id(parameter)] for parameter in group['params']]
        decays.setdefault(group['weight_decay'], []).extend(members)
        rates.setdefault(group['lr'] / defaults['lr'], []).extend(members)
    loader, model_train_cfg = cfg.train_dataloader, cfg.model.get('train_cfg') or {}
    return {
        'batch per process': loader.batch_size,
        'accumulated batches': wrapper._accumulative_counts,
        'base batch': cfg.get('auto_scale_lr', {}).get('base_batch_size'),
        'length': cfg.train_cfg.get('max_epochs') or cfg.train_cfg.get('max_iters'),
        'unit': 'epoch' if 'max_epochs' in cfg.train_cfg else 'iteration',
        'validation interval': cfg.get('val_dataloader') and cfg.train_cfg.get('val_interval', 1),
        'optimizer': type(wrapper.optimizer).__name__,
        'betas': defaults.get('betas'),
        'momentum': defaults.get('momentum'),
        'eps': defaults.get('eps'),
        'rate': _trace_rate(cfg, defaults['lr'], epoch_length),
        'rate multipliers': rates,
        'decays': decays,
        'clip': (wrapper.clip_grad_kwargs or {}).get('max_norm'),
        'mixed precision': type(wrapper).__name__ != 'OptimWrapper',
        'drop path': max([0.0, *(m.drop_prob for m in model.modules() if isinstance(m, DropPath))]),
        'batch augmentation': [dict(a) for a in model_train_cfg.get('augments', [])],
        'training pipeline': [
            dict(step) for step in innermost_config(loader.dataset).get('pipeline', [])
        ],
    }

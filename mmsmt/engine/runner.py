"""Configs and runners of training and testing, for all three hosts."""

import argparse
import os
from logging import FileHandler
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from mmsmt.backbones import FourStageBackbone
from mmsmt.datasets.root import VARIABLE, data_root
from mmsmt.engine.data_guard import Explain, guard_data
from mmsmt.engine.data_root import move_data
from mmsmt.engine.distributed import prepare_cpu_processes
from mmsmt.engine.hooks.start_summary import is_warning
from mmsmt.engine.patches import install_safe_loading, replace_types
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config_file
from mmsmt.layers import use_onednn_linear

REQUIRED_HOOKS = (
    'mmsmt.StrictLoadHook',
    'mmsmt.EpochSeedHook',
    'mmsmt.MissedValidationHook',
    'mmsmt.SharedStatisticsHook',
    'mmsmt.AnomalyHook',
    'mmsmt.StartSummaryHook',
)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a tool and apply the common arguments.

    Args:
        args: `config`, `work_dir`, `cfg_options`, `data_root`, `launcher`, `local_rank`.

    Returns:
        The config, with `work_dir` and `launcher` set, and paths of data replaced.

    Raises:
        UsageError: If the config is missing, cannot be parsed or has no model, or if the folder of
            data is missing.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config_file(args.config)
    if 'model' not in cfg:
        raise UsageError(f'{args.config}: not a training config: `model` is missing')
    cfg.launcher = args.launcher
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    if args.data_root or os.environ.get(VARIABLE):
        root = data_root(args.data_root)
        if not root.is_dir():
            said = '--data-root' if args.data_root else f'environment variable {VARIABLE}'
            raise UsageError(f'{said}: {root}: no such folder')
        move_data(cfg, root)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    return cfg


class ToolRunner(Runner):
    """mmengine's `Runner` with channels-last weights and a short start on the console."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Hide details of the setup from the console until `StartSummaryHook` has summarised it."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, FileHandler):
                handler.addFilter(is_warning)
        return logger

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> Any:
        """Make convolution weights channels-last, then wrap the model for DDP.

        Maps of our backbones, and gradients of convolutions, are channels-last. Other weights would
        be copied at every call and step, and would not match DDP's buckets.
        """
        for part in model.modules():
            if isinstance(part, FourStageBackbone):
                part.to(memory_format=torch.channels_last)
        return super().wrap_model(model_wrapper_cfg, model)


def add_required_hooks(cfg: Config) -> None:
    """Add the hooks that this package relies on, if the config lacks them, in place.

    `load_allow` of the config lists entries and modules that may be missing in `load_from`, or of
    another shape.
    """
    given = [str(hook.get('type')) for hook in cfg.get('custom_hooks') or () if 'type' in hook]
    missing = [dict(type=name) for name in REQUIRED_HOOKS if not _ends_with(given, name)]
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or ()), *missing]
    for hook in cfg.custom_hooks if cfg.get('load_allow') else ():
        if _ends_with([str(hook.get('type'))], 'mmsmt.StrictLoadHook'):
            hook['allow'] = [*hook.get('allow', ()), *cfg.load_allow]


def _ends_with(types: list[str], name: str) -> bool:
    return name.rpartition('.')[2] in (kind.rpartition('.')[2].rstrip("'>") for kind in types)


def build_runner(cfg: Config, explain: Explain | None = None) -> Runner:
    """Build the runner of a config.

    Loading and saving are safe, bad samples are reported (or skipped with `on_bad = 'skip'`), and
    without GPUs processes communicate over gloo and AMP is bfloat16.

    Args:
        cfg: Config after all options are applied; it is modified.
        explain: See `guard_data`.
    """
    install_safe_loading()
    use_onednn_linear(not torch.cuda.is_available())
    prepare_cpu_processes(cfg)
    replace_types(cfg)
    add_required_hooks(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else ToolRunner.from_cfg(cfg)
    guard_data(runner, cfg.get('on_bad', 'stop'), explain)
    return runner

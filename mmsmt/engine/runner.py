"""Config and runner of a training or test, the same for the three hosts."""

import argparse
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmsmt.datasets.root import VARIABLE, data_root
from mmsmt.engine.data_guard import Explain, guard_data
from mmsmt.engine.data_root import move_data
from mmsmt.engine.distributed import prepare_cpu_processes
from mmsmt.engine.patches import install_safe_loading, replace_types
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config_file


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a tool and apply the common arguments.

    Args:
        args: `config`, `work_dir`, `cfg_options`, `data_root`, `launcher`, `local_rank`.

    Returns:
        The config, with `work_dir` and `launcher` set and its data where the user has it.

    Raises:
        UsageError: If the config is missing, cannot be parsed or has no model, or if the
            folder for data is missing.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config_file(args.config)
    if 'model' not in cfg:
        raise UsageError(f'{args.config}: has no `model`, so it is no config of a run')
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


def build_runner(cfg: Config, explain: Explain | None = None) -> Runner:
    """Build the config's runner.

    Loading and saving are safe, bad data are named (or skipped, where the config says
    `on_bad = 'skip'`), and without GPUs processes talk through gloo and AMP is bfloat16.

    Args:
        cfg: After all options; is changed.
        explain: See `guard_data`.
    """
    install_safe_loading()
    prepare_cpu_processes(cfg)
    replace_types(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    guard_data(runner, cfg.get('on_bad', 'stop'), explain)
    return runner

"""From a tool's arguments to a config, the same for the three hosts."""

import argparse
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import distributed

from mmsmt.checkpoints import CheckpointError
from mmsmt.datasets.guarding import BadSampleError
from mmsmt.datasets.root import VARIABLE, data_root
from mmsmt.engine.amp import prepare_cpu_amp
from mmsmt.engine.anomalies import AnomalyError
from mmsmt.engine.bad_data import guard_data
from mmsmt.engine.data_root import move_data
from mmsmt.engine.distributed import prepare_cpu_processes
from mmsmt.engine.loading import install_safe_loading
from mmsmt.engine.resuming import find_last_good
from mmsmt.engine.saving import prepare_atomic_saving
from mmsmt.engine.sharding import prepare_sharded_clipping


class UsageError(Exception):
    """What the user asked for cannot be done; the message says why and what can."""


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that training and testing share, as in the hosts' own tools."""
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help="override config entries: key=value, lists as key='[a,b]'",
    )
    parser.add_argument(
        '--data-root',
        help=f'folder in place of the `data` that paths in configs begin with (else ${VARIABLE})',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # torch.distributed.launch passes it; torchrun sets LOCAL_RANK instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def read_config_file(path: str | Path, name: str | None = None) -> Config:
    """Read a config.

    Args:
        path: File.
        name: What the user called it, for errors; by default the path.

    Raises:
        UsageError: If it is missing or cannot be parsed.
    """
    name = name or str(path)
    if not Path(path).is_file():
        raise UsageError(f'{name}: no such config file')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program, which may raise anything
        reason = f'{type(error).__name__}: {error}'
        raise UsageError(f'{name}: cannot be read as a config: {reason}') from error


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


def apply_train_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply `--resume`, `--amp`, `--auto-scale-lr`, `--no-validate`, `--on-bad`, in place."""
    if args.resume is not None:
        found = find_last_good(cfg.work_dir) if args.resume == 'auto' else args.resume
        cfg.resume = found is not None
        if found:  # else a first start, from the weights that the config names
            cfg.load_from = str(found)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UsageError('--auto-scale-lr needs `auto_scale_lr.base_batch_size` in the config')
        cfg.auto_scale_lr.enable = True
        # mmengine compares the base with the images of one iteration, not of one step.
        cfg.auto_scale_lr.base_batch_size /= cfg.optim_wrapper.get('accumulative_counts', 1)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.on_bad:
        cfg.on_bad = args.on_bad


def apply_test_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the checkpoint, `--tta`, `--deploy`, `--show-dir` and `--out` to a config, in place.

    Raises:
        UsageError: If the config lacks what an option needs.
    """
    cfg.load_from = args.checkpoint
    cfg.resume = False
    # The file to be evaluated holds the backbone; what it was trained from may be gone.
    cfg.model.backbone.pop('init_cfg', None)
    if args.tta:
        if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
            raise UsageError('--tta needs `tta_model` and `tta_pipeline` in the config')
        dataset = cfg.test_dataloader.dataset
        while 'dataset' in dataset:
            dataset = dataset.dataset
        dataset.pipeline = deepcopy(cfg.tta_pipeline)
        if 'data_preprocessor' in cfg.model:  # mmengine would replace it by the config's
            cfg.pop('data_preprocessor', None)
        cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    if args.deploy:
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='mmsmt.DeployHook')]
    if args.show_dir:
        _draw_predictions(cfg, args.show_dir)
    if args.out:
        if not args.out.endswith(('.pkl', '.pickle')):
            raise UsageError(f'--out {args.out}: the name must end in .pkl or .pickle')
        evaluators = cfg.test_evaluator
        evaluators = list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]
        cfg.test_evaluator = [*evaluators, dict(type='DumpResults', out_file_path=args.out)]


def _draw_predictions(cfg: Config, folder: str) -> None:
    """Switch the host's visualization hook on; each spells its options in its own way."""
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise UsageError('--show-dir needs `default_hooks.visualization` in the config')
    kind = hook.type.rpartition('.')[-1]  # with or without the host's prefix
    if kind == 'DetVisualizationHook':
        hook.update(draw=True, test_out_dir=str(Path(folder).absolute()))
    elif kind == 'SegVisualizationHook':
        hook.setdefault('interval', 1)
        hook.update(draw=True)
        cfg.visualizer.save_dir = folder
    elif kind == 'VisualizationHook':
        hook.update(enable=True, interval=1, out_dir=folder)
    else:
        raise UsageError(f'--show-dir: {hook.type} of the config is no hook that draws')


def build_runner(cfg: Config) -> Runner:
    """Build the config's runner.

    Loading and saving are safe, bad data are named (or skipped, where the config says
    `on_bad = 'skip'`), and without GPUs processes talk through gloo and AMP is bfloat16.
    """
    install_safe_loading()
    prepare_cpu_processes(cfg)
    prepare_cpu_amp(cfg)
    prepare_sharded_clipping(cfg)
    prepare_atomic_saving(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    guard_data(runner, cfg.get('on_bad', 'stop'))
    return runner


def quiet() -> None:
    """Silence what hosts remark on parts that they build, for tools that only look at them."""
    logging.disable(logging.WARNING)
    warnings.filterwarnings('ignore')


@contextmanager
def _one_line_errors(kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        if os.environ.get('MMSMT_TRACEBACK'):
            raise
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f'error: {" ".join(str(text).split())}', file=sys.stderr)
        raise SystemExit(1) from None


def run_tool(prepare: Callable[[], Runner], run: Callable[[Runner], Any]) -> None:
    """Run a tool; bad input ends in one line on stderr and exit status 1.

    While the runner is built from the user's config, any wrong value, key or file is the
    input's fault; while it runs, errors of checkpoints, files and data end so, and losses that are
    no numbers. Set the environment variable MMSMT_TRACEBACK to see where such an error came from.

    Args:
        prepare: Builds the runner.
        run: Trains or tests with it.
    """
    user_errors = (UsageError, CheckpointError, FileNotFoundError, AnomalyError, BadSampleError)
    config_errors = (ValueError, KeyError, TypeError, AttributeError, AssertionError)
    with _one_line_errors((*user_errors, *config_errors)):
        runner = prepare()
    with _one_line_errors(user_errors):
        run(runner)
    if distributed.is_initialized():
        # What is left of the group when Python exits takes its threads' abort with it.
        del runner
        gc.collect()
        distributed.destroy_process_group()

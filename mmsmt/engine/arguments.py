"""Command-line arguments of training and testing, and how they change a config."""

import argparse
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction

from mmsmt.datasets.root import VARIABLE
from mmsmt.datasets.wrappers import test_dataset
from mmsmt.deploy.session import format_of
from mmsmt.engine.best_model import keep_best
from mmsmt.engine.length import set_epochs
from mmsmt.engine.resume import find_last_good
from mmsmt.engine.tta.config import set_tta
from mmsmt.errors import UsageError


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of both training and testing, named as in the hosts' own tools."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help="override config entries: key=value, lists as key='[a,b]'",
    )
    parser.add_argument(
        '--data-root',
        help=f'folder that replaces the leading `data` of paths in configs (default: ${VARIABLE})',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    # Passed by torch.distributed.launch; torchrun sets LOCAL_RANK instead.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def apply_train_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the options of training to a config, in place.

    Raises:
        UsageError: If the config lacks what an option needs.
    """
    if args.resume is not None:
        found = find_last_good(cfg.work_dir) if args.resume == 'auto' else args.resume
        cfg.resume = found is not None
        if found:  # otherwise start from the weights in the config
            cfg.load_from = str(found)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UsageError('--auto-scale-lr needs `auto_scale_lr.base_batch_size` in the config')
        cfg.auto_scale_lr.enable = True
        # mmengine compares the base with the batch of one iteration, not of one optimizer step.
        cfg.auto_scale_lr.base_batch_size /= cfg.optim_wrapper.get('accumulative_counts', 1)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    if args.epochs is not None:
        set_epochs(cfg, args.epochs)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.save_best is not None or args.early_stop is not None:
        keep_best(cfg, args.save_best or '', args.early_stop, save=args.save_best is not None)
    if args.on_bad:
        cfg.on_bad = args.on_bad


def apply_test_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the options of testing, such as a checkpoint or `--tta`, to a config, in place.

    Raises:
        UsageError: If the config lacks what an option needs, or options cannot be combined.
    """
    exported = format_of(args.checkpoint) is not None
    cfg.load_from = None if exported else args.checkpoint
    cfg.resume = False
    if exported:
        _test_exported(cfg, args)
    elif args.precision != 'float32':
        raise UsageError(f'--precision {args.precision} only applies to exported files')
    # The tested file holds the backbone; its pre-trained weights may no longer exist.
    remove_pretrained(cfg.model)
    if args.tta:
        dataset = test_dataset(cfg)
        if dataset is None:
            raise UsageError('--tta needs a `test_dataloader` in the config')
        dataset.pipeline = set_tta(cfg)
    hooks = [dict(type='mmsmt.DeployHook')] if args.deploy else []
    if args.show_dir:
        if not cfg.get('visualizer'):
            raise UsageError('--show-dir needs a `visualizer` in the config')
        hooks.append(dict(type='mmsmt.DrawnPredictionsHook', folder=args.show_dir))
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *hooks]
    if args.out:
        if not args.out.endswith(('.pkl', '.pickle')):
            raise UsageError(f'--out {args.out}: the name must end in .pkl or .pickle')
        evaluators = cfg.test_evaluator
        evaluators = list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]
        cfg.test_evaluator = [*evaluators, dict(type='DumpResults', out_file_path=args.out)]


def _test_exported(cfg: Config, args: argparse.Namespace) -> None:
    """Replace the model by an exported file."""
    for option in ('tta', 'deploy'):
        if getattr(args, option):
            raise UsageError(f'{args.checkpoint}: exported files do not support --{option}')
    if not Path(args.checkpoint).is_file():
        raise UsageError(f'{args.checkpoint}: no such file')
    hook = dict(type='mmsmt.ExportedModelHook', path=args.checkpoint, precision=args.precision)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]


def remove_pretrained(model: ConfigDict) -> None:
    """Remove the backbone's pre-trained weights from a model config, also if wrapped, in place."""
    for part in (model, model.get('detector'), model.get('segmentor'), model.get('model')):
        if isinstance(part, dict) and isinstance(part.get('backbone'), dict):
            part['backbone'].pop('init_cfg', None)

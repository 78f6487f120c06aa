"""Command-line arguments of training and testing, applied to a config."""

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


def apply_train_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the options of training to a config, in place.

    Raises:
        UsageError: If the config lacks what an option needs.
    """
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
    """Apply the checkpoint or exported file, `--tta`, `--deploy` and so on to a config, in place.

    Raises:
        UsageError: If the config lacks what an option needs, or options exclude each other.
    """
    exported = format_of(args.checkpoint) is not None
    cfg.load_from = None if exported else args.checkpoint
    cfg.resume = False
    if exported:
        _test_exported(cfg, args)
    elif args.precision != 'float32':
        raise UsageError(f'--precision {args.precision} is of exported files')
    # The file to be evaluated holds the backbone; what it was trained from may be gone.
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
    """Let an exported file take the model's place."""
    for option in ('tta', 'deploy'):
        if getattr(args, option):
            raise UsageError(
                f'{args.checkpoint}: an exported file cannot be tested with --{option}'
            )
    if not Path(args.checkpoint).is_file():
        raise UsageError(f'{args.checkpoint}: no such file')
    hook = dict(type='mmsmt.ExportedModelHook', path=args.checkpoint, precision=args.precision)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]


def remove_pretrained(model: ConfigDict) -> None:
    """Remove the backbone's weights from a model's config, also of a wrapped model, in place."""
    for part in (model, model.get('detector'), model.get('segmentor'), model.get('model')):
        if isinstance(part, dict) and isinstance(part.get('backbone'), dict):
            part['backbone'].pop('init_cfg', None)

"""All checks of a config, of the configs in folders, and of one that is about to be run."""

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmsmt.checks.config.arguments import check_arguments
from mmsmt.checks.config.build import build_part
from mmsmt.checks.config.channels import check_channels
from mmsmt.checks.config.classes import check_classes
from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.inheritance import count_levels, read_config
from mmsmt.checks.config.learning_rate import KEY, check_rate
from mmsmt.checks.config.registries import find_scope
from mmsmt.checks.config.segmentation import check_segmentation
from mmsmt.checks.config.views import check_views
from mmsmt.checks.config.weights import check_weights
from mmsmt.engine.distributed import planned_processes
from mmsmt.errors import UsageError
from mmsmt.paths import carried

OWN_CONFIGS = carried('configs')
_SPLITS = ('train', 'val', 'test')
# Where launchers tell the number of this process, before it connects to the others.
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


def find_configs(paths: Iterable[Path]) -> list[Path]:
    """The configs in files and folders; what lies in a folder `_base_` is none by itself.

    Raises:
        FileNotFoundError: If a path is missing or a folder holds no config.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f'{path}: no such file or folder')
        inside = [path]
        if path.is_dir():
            files = sorted(path.rglob('*.py'))
            inside = [p for p in files if '_base_' not in p.relative_to(path).parts]
        if not inside:
            raise FileNotFoundError(f'{path}: no config (*.py) inside')
        found += inside
    return list(dict.fromkeys(found))


def check_config(
    path: Path, processes: int | None = None, max_levels: int | None = None
) -> list[Finding]:
    """Find what is wrong in a config without building its data.

    Args:
        path: A training config.
        processes: Number of processes that train; for this project's own configs 8, on the
            digits 1, otherwise not known.
        max_levels: Levels of inheritance allowed, installed packages not counted; for this
            project's own configs 3, otherwise not limited.

    Returns:
        The findings, all that can be found at once.
    """
    file = path.resolve()
    if file.is_relative_to(OWN_CONFIGS):
        processes = processes or (1 if file.is_relative_to(OWN_CONFIGS / 'digits') else 8)
        max_levels = max_levels or 3
    with _quiet():
        config, findings = read_config(path)
        if config is None:
            return findings
        if max_levels and (levels := count_levels(path)) > max_levels:
            wrong = f'{levels} levels of inheritance'
            findings.append(Finding('_base_', wrong, f'{max_levels} at most; inherit more flatly'))
        if not isinstance(config.get('model'), dict):
            right = 'define one, or move the file to a folder `_base_`'
            return [*findings, Finding('model', 'is no dictionary of a model', right)]
        return findings + _check_parts(config, processes)


def require_valid(cfg: Config, trains: bool = True) -> None:
    """Stop a run whose config is wrong; warn if the rate of a training is for another batch.

    Args:
        cfg: With all options of a training applied, `launcher` among them; is not changed. Its
            weights are left alone.
        trains: Whether it will be trained with, not only tested.

    Raises:
        UsageError: If anything but the batch is wrong: names the key and what is right.
    """
    processes = planned_processes(cfg.launcher)
    with _quiet():
        findings = [f for f in _check_parts(deepcopy(cfg), processes, weights=False) if not f.note]
    faults = [str(f) for f in findings if f.key != KEY]
    if faults:
        more = f' (and {len(faults) - 1} more: mmsmt check config)' if len(faults) > 1 else ''
        raise UsageError(f'{faults[0]}{more}; --no-check runs it anyway')
    scaling = cfg.get('auto_scale_lr') or {}
    first = not any(int(os.environ.get(name, 0)) for name in _RANKS)  # it speaks for all
    unscaled = scaling.get('base_batch_size') and not scaling.get('enable')
    if trains and unscaled and first:
        for finding in findings:
            print(f'warning: {finding}; --auto-scale-lr does that', file=sys.stderr)


def check_loaders(cfg: Config) -> list[Finding]:
    """Find unknown types and arguments in data loaders, data sets, transforms and evaluators.

    Args:
        cfg: A config; is not changed.
    """
    names = [f'{split}_{part}' for split in _SPLITS for part in ('dataloader', 'evaluator')]
    parts = {name: cfg[name] for name in [*names, 'tta_pipeline'] if cfg.get(name)}
    with _quiet():
        scope = cfg.get('default_scope') or 'mmengine'
        return _check_scope(scope) or list(check_arguments(deepcopy(parts), scope, built=False))


def _check_scope(scope: str) -> list[Finding]:
    """Say why a host cannot be imported, if it cannot."""
    try:
        import_module(f'{scope}.registry')
    except (ImportError, AssertionError) as error:  # hosts assert the version of mmcv
        return [Finding('default_scope', f'{scope} cannot be used: {error}', f'install {scope}')]
    return []


def _check_parts(config: Any, processes: int | None, weights: bool = True) -> list[Finding]:
    kind, findings = str(config.model.get('type')), list[Finding]()
    scope = config.get('default_scope') or find_scope(kind) or 'mmengine'
    if scope != (config.get('default_scope') or 'mmengine'):
        right = f'default_scope = {scope!r} is where {kind} is found'
        inherited = not any(config.get(f'{split}_dataloader') for split in _SPLITS)
        findings.append(Finding('default_scope', 'is absent', right, note=inherited))
    if unusable := _check_scope(scope):
        return unusable
    model, refused = build_part(config, 'model', scope)
    skipped = [f.key.removesuffix('.type') for f in refused if f.needs_package or f.note]
    findings += check_arguments(config, scope, model is not None, skipped)
    if model is None and not skipped:  # what resembled a right name is corrected now
        model, refused = build_part(config, 'model', scope)
    backbone, neck = (
        build_part(config, f'model.{name}', scope)[0]
        if model is None and config.model.get(name)
        else getattr(model, name, None)
        for name in ('backbone', 'neck')
    )
    findings += check_channels(config.model, backbone, neck)
    findings += refused
    findings += check_classes(config, scope)
    findings += check_rate(config, processes)
    findings += check_segmentation(config)
    findings += check_views(config)
    if weights:
        findings += check_weights(config, model, backbone)
    # What the first check says of a key is more exact than what follows from it.
    return list({f.key: f for f in reversed(findings)}.values())[::-1]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what hosts log, print and warn of while they register and build."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with redirect_stdout(StringIO()):
                yield
    finally:
        logging.disable(before)

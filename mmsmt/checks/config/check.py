"""All checks of a config, of the configs in folders, and before a run."""

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
# Variables in which launchers pass the rank of this process.
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


def find_configs(paths: Iterable[Path]) -> list[Path]:
    """Return the configs in files and folders, except those in folders named `_base_`.

    Raises:
        FileNotFoundError: If a path is missing or a folder has no configs.
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
            raise FileNotFoundError(f'{path}: no configs (*.py) in it')
        found += inside
    return list(dict.fromkeys(found))


def check_config(
    path: Path, processes: int | None = None, max_levels: int | None = None
) -> list[Finding]:
    """Find the errors in a config without building its data.

    Args:
        path: A training config.
        processes: Number of training processes; by default 8 for this project's own configs, 1 on
            the digits, otherwise unknown.
        max_levels: Maximum levels of inheritance, without installed packages; by default 3 for this
            project's own configs, otherwise unlimited.

    Returns:
        All findings that can be found at once.
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
            findings.append(
                Finding('_base_', wrong, f'the maximum is {max_levels}: inherit more directly')
            )
        if not isinstance(config.get('model'), dict):
            right = 'define one, or move the file to a folder `_base_`'
            return [*findings, Finding('model', 'is not a dictionary with a model', right)]
        return findings + _check_parts(config, processes)


def require_valid(cfg: Config, trains: bool = True) -> None:
    """Raise if a config is wrong; warn if the learning rate is for another batch size.

    Args:
        cfg: Config with all options applied, including `launcher`; it is not changed. Its weights
            are not checked.
        trains: Whether it will be trained, not only tested.

    Raises:
        UsageError: If anything but the batch size is wrong; names the key and the right value.
    """
    processes = planned_processes(cfg.launcher)
    with _quiet():
        findings = [f for f in _check_parts(deepcopy(cfg), processes, weights=False) if not f.note]
    faults = [str(f) for f in findings if f.key != KEY]
    if faults:
        more = f' (and {len(faults) - 1} more: mmsmt check config)' if len(faults) > 1 else ''
        raise UsageError(f'{faults[0]}{more}; --no-check runs it anyway')
    scaling = cfg.get('auto_scale_lr') or {}
    first = not any(int(os.environ.get(name, 0)) for name in _RANKS)  # only it warns
    unscaled = scaling.get('base_batch_size') and not scaling.get('enable')
    if trains and unscaled and first:
        for finding in findings:
            print(f'warning: {finding}; --auto-scale-lr does this', file=sys.stderr)


def check_loaders(cfg: Config) -> list[Finding]:
    """Find unknown types and arguments in data loaders, data sets, transforms and evaluators.

    Args:
        cfg: A config; it is not changed.
    """
    names = [f'{split}_{part}' for split in _SPLITS for part in ('dataloader', 'evaluator')]
    parts = {name: cfg[name] for name in [*names, 'tta_pipeline'] if cfg.get(name)}
    with _quiet():
        scope = cfg.get('default_scope') or 'mmengine'
        return _check_scope(scope) or list(check_arguments(deepcopy(parts), scope, built=False))


def _check_scope(scope: str) -> list[Finding]:
    """Return a finding if a host cannot be imported."""
    try:
        import_module(f'{scope}.registry')
    except (ImportError, AssertionError) as error:  # hosts assert mmcv's version
        return [Finding('default_scope', f'{scope} cannot be used: {error}', f'install {scope}')]
    return []


def _check_parts(config: Any, processes: int | None, weights: bool = True) -> list[Finding]:
    kind, findings = str(config.model.get('type')), list[Finding]()
    scope = config.get('default_scope') or find_scope(kind) or 'mmengine'
    if scope != (config.get('default_scope') or 'mmengine'):
        right = f'set default_scope = {scope!r}, where {kind} is registered'
        inherited = not any(config.get(f'{split}_dataloader') for split in _SPLITS)
        findings.append(Finding('default_scope', 'is missing', right, note=inherited))
    if unusable := _check_scope(scope):
        return unusable
    model, refused = build_part(config, 'model', scope)
    skipped = [f.key.removesuffix('.type') for f in refused if f.needs_package or f.note]
    findings += check_arguments(config, scope, model is not None, skipped)
    if model is None and not skipped:  # misspelt names are corrected now
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
    # The first finding for a key is more exact than those that follow from it.
    return list({f.key: f for f in reversed(findings)}.values())[::-1]


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress logs, output and warnings of hosts while they register and build."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with redirect_stdout(StringIO()):
                yield
    finally:
        logging.disable(before)

"""All checks of a config, and of the configs in folders."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from mmsmt.checks.config.arguments import check_arguments
from mmsmt.checks.config.build import build_part
from mmsmt.checks.config.channels import check_channels
from mmsmt.checks.config.classes import check_classes
from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.inheritance import count_levels, read_config
from mmsmt.checks.config.learning_rate import check_rate
from mmsmt.checks.config.weights import check_weights
from mmsmt.paths import carried

# This project's own recipes: at most three levels of inheritance, batches of eight processes,
# of one on the digits.
OWN_CONFIGS = carried('configs')
OWN_LEVELS = 3
OWN_PROCESSES = 8
_DIGITS = OWN_CONFIGS / 'digits'


def find_configs(paths: Iterable[Path]) -> list[Path]:
    """The configs in files and folders; what lies in a folder `_base_` is none by itself.

    Raises:
        FileNotFoundError: If a path is missing or a folder holds no config.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f'{path}: no such file or folder')
        inside = [
            p for p in sorted(path.rglob('*.py')) if '_base_' not in p.relative_to(path).parts
        ]
        if path.is_dir() and not inside:
            raise FileNotFoundError(f'{path}: no config (*.py) inside')
        found += inside if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def check_config(
    path: Path, processes: int | None = None, max_levels: int | None = None
) -> list[Finding]:
    """Find what is wrong in a config without building its data.

    Args:
        path: A config of a run.
        processes: Number of processes that train; for this project's own configs 8, on the
            digits 1, otherwise not known.
        max_levels: Levels of inheritance allowed, installed packages not counted; for this
            project's own configs 3, otherwise not limited.

    Returns:
        The findings, all that can be found at once.
    """
    file = path.resolve()
    if file.is_relative_to(OWN_CONFIGS):
        processes = processes or (1 if file.is_relative_to(_DIGITS) else OWN_PROCESSES)
        max_levels = max_levels or OWN_LEVELS
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
        return findings + _unique(_check_parts(config, processes))


def check_before_run(config: Any, processes: int) -> list[Finding]:
    """Find what is wrong in a config that is about to be run, its weights left alone.

    Args:
        config: After all options; is not changed.
        processes: Number of processes that train.

    Returns:
        The findings.
    """
    with _quiet():
        return _unique(_check_parts(deepcopy(config), processes, weights=False))


def _check_parts(config: Any, processes: int | None, weights: bool = True) -> Iterator[Finding]:
    scope = config.get('default_scope') or 'mmengine'
    try:
        import_module(f'{scope}.registry')
    except (ImportError, AssertionError) as error:  # hosts assert the version of mmcv
        yield Finding('default_scope', f'{scope} cannot be used: {error}', f'install {scope}')
        return
    model, refused = build_part(config, 'model', scope, corrections=0)
    yield from check_arguments(config, scope, built=model is not None)
    if model is None:
        model, refused = build_part(config, 'model', scope)
    backbone, neck = (_part(config, model, name, scope) for name in ('backbone', 'neck'))
    yield from check_channels(config.model, backbone, neck)
    yield from refused
    yield from check_classes(config, scope)
    yield from check_rate(config, processes)
    if weights:
        yield from check_weights(config, model, backbone)


def _part(config: Any, model: Any, name: str, scope: str) -> Any:
    """A part of the built model; built alone where the whole cannot be."""
    if model is not None or not config.model.get(name):
        return getattr(model, name, None)
    return build_part(config, name, scope)[0]


def _unique(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for a key: what the first check says is more exact than what follows from it."""
    return list({f.key: f for f in reversed(list(findings))}.values())[::-1]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what hosts log and warn of while they register and build."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)

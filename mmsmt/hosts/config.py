"""Reading of config files, ours and those of the hosts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import get_installed_path

from mmsmt.errors import UsageError
from mmsmt.paths import carried

IGNORED = 255  # default of mmseg's heads, of its preprocessor and of its metrics


def read_config_file(path: str | Path, name: str | None = None) -> Config:
    """Read a config; error messages call it `name`, its path by default.

    Raises:
        UsageError: If it is missing or cannot be parsed.
    """
    name = name or str(path)
    if not Path(path).is_file():
        raise UsageError(f'{name}: no such config file')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program and can raise anything
        reason = f'{type(error).__name__}: {error}'
        raise UsageError(f'{name}: cannot be read as a config: {reason}') from error


def read_config(name: str) -> Config:
    """Read a training config, or a file with only a `backbone` as a config with a `model`.

    Args:
        name: File, or `package::path` in a host's configs.

    Raises:
        UsageError: If it is missing, cannot be parsed, or has neither.
    """
    package, is_host, rest = name.partition('::')
    path = Path(name)
    if package == 'mmsmt' and is_host:
        path = carried('configs') / rest
    elif is_host:
        try:
            path = Path(get_installed_path(package), '.mim', 'configs', rest)
        except Exception as error:  # importlib.metadata has several errors for a missing package
            raise UsageError(f'{name}: package {package!r} is not installed') from error
    cfg = read_config_file(path, name)
    if 'model' not in cfg:
        if 'backbone' not in cfg:
            raise UsageError(f'{name}: has neither `model` nor `backbone`')
        cfg.model = dict(backbone=cfg.backbone)
        cfg.setdefault('default_scope', 'mmpretrain')
    return cfg


def ignored_label(model: Any) -> int:
    """Return the label that a segmenter's losses ignore, 255 by default as in mmseg.

    Args:
        model: The config of a model; the last of several decode heads counts.
    """
    head = model.get('decode_head') or {}
    head = head[-1] if isinstance(head, list | tuple) else head
    label: int = head.get('ignore_index', IGNORED)
    return label


def without_files(part: Any) -> Any:
    """Copy a config, or a part of one, without everything that would load weights from a file."""
    if isinstance(part, Mapping):
        kept = {k: without_files(v) for k, v in part.items() if k != 'pretrained'}
        if _is_file(kept.get('init_cfg')):
            del kept['init_cfg']
        return type(part)(kept) if isinstance(part, dict) else kept
    if isinstance(part, list | tuple):
        return type(part)(without_files(item) for item in part if not _is_file(item))
    return part


def _is_file(init: Any) -> bool:
    return isinstance(init, Mapping) and str(init.get('type')).endswith('Pretrained')

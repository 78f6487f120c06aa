"""Reading config files, of ours and of the hosts."""

from pathlib import Path

from mmengine.config import Config
from mmengine.utils import get_installed_path

from mmsmt.errors import UsageError


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


def read_config(name: str) -> Config:
    """Read a config of a run, or a file with a `backbone`, as one with a `model`.

    Args:
        name: File, or `package::path` in a host's tree of configs.

    Raises:
        UsageError: If it is missing, cannot be parsed, or has neither.
    """
    package, is_host, rest = name.partition('::')
    path = Path(name)
    if is_host:
        try:
            path = Path(get_installed_path(package), '.mim', 'configs', rest)
        except Exception as error:  # importlib.metadata has several for a missing package
            raise UsageError(f'{name}: package {package!r} is not installed') from error
    cfg = read_config_file(path, name)
    if 'model' not in cfg:
        if 'backbone' not in cfg:
            raise UsageError(f'{name}: has neither `model` nor `backbone`')
        cfg.model = dict(backbone=cfg.backbone)
    return cfg

"""Which networks to look at: from the command line to configs."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.utils import get_installed_path

from mmsmt.engine.launch import UsageError, read_config_file


class Request(NamedTuple):
    """One network as the command line names it.

    Args:
        label: Name in tables and of files.
        config: File, or `package::path` in a host's tree of configs.
        file: What stands after the comma: a checkpoint, or results; empty for none.
    """

    label: str
    config: str
    file: str = ''


def parse_requests(arguments: list[str]) -> list[Request]:
    """Read arguments of the form `[LABEL=]CONFIG[,FILE]`.

    Returns:
        One request each; without a label the config file's stem is one.

    Raises:
        UsageError: If two have one label.
    """
    requests = []
    for argument in arguments:
        rest, _, file = argument.partition(',')
        label, _, config = rest.rpartition('=')
        requests.append(Request(label or Path(config).stem, config, file))
    labels = [request.label for request in requests]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise UsageError(f'two models are called {twice[0]}; name them: LABEL=CONFIG')
    wrong = [label for label in labels if Path(label).name != label]
    if wrong:
        raise UsageError(f'label {wrong[0]!r} names files, so it cannot have slashes')
    return requests


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


def fingerprint(value: Any) -> str:
    """Eight hexadecimal digits that stand for a value, by its `repr`."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:8]


def describe(request: Request) -> dict[str, str]:
    """What identifies a request's network: config, its content, and the checkpoint's state.

    Raises:
        UsageError: If the config or the checkpoint cannot be read.
    """
    content = fingerprint(read_config(request.config).model.to_dict())
    identity = {'config': request.config, 'content': content, 'checkpoint': request.file}
    if request.file and '://' not in request.file:
        if not Path(request.file).is_file():
            raise UsageError(f'{request.file}: no such checkpoint file')
        state = Path(request.file).stat()
        identity['state'] = fingerprint((state.st_size, state.st_mtime_ns))
    return identity

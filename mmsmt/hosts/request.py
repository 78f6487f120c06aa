"""Models as named on the command line."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config


class Request(NamedTuple):
    """A model as named on the command line."""

    label: str  # in tables and file names
    config: str  # file, or `package::path` in a host's configs
    file: str = ''  # after the comma: a checkpoint, or results


def parse_requests(arguments: list[str]) -> list[Request]:
    """Parse arguments `[LABEL=]CONFIG[,FILE]`; the default label is the stem of the config file.

    Raises:
        UsageError: If two have the same label.
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
        raise UsageError(f'label {wrong[0]!r} is used in file names and cannot have slashes')
    return requests


def fingerprint(value: Any) -> str:
    """Return eight hexadecimal digits that identify a value by its `repr`."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:8]


def describe(request: Request) -> dict[str, str]:
    """Return what identifies a request's network: config, its content, the checkpoint's state.

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

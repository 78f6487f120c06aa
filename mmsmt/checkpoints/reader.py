"""Safe reader of weight files: nothing in a file is executed.

PyTorch files are read with `weights_only=True`, others as safetensors. Two harmless kinds of
content are allowed by name: the training state that mmengine writes (history buffers and numpy
scalars), and the configuration objects that the authors of SMT and many others pickled, which
become plain ordered dictionaries. All other imports that a file asks for are refused.
"""

import importlib
import pickle
import re
import warnings
from collections import OrderedDict
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from mmengine.fileio import get_local_path
from mmengine.logging import HistoryBuffer
from torch import Tensor

from mmsmt.checkpoints.download import read_url
from mmsmt.checkpoints.integrity import is_archive, require_numbers, require_sound_archive
from mmsmt.errors import CheckpointError

# Keys under which training codes store the weights, in order of preference.
_CONTAINERS = ('state_dict', 'model', 'module')
# PyTorch 2.6 reads out of bounds if an entry's claimed size exceeds the file (fixed in 2.11).
# Mapped files are bounds-checked in all versions.
_MAPPED = torch.__version__ < '2.11'
_LONGEST_NAME = 1000  # characters; deeply nested networks need some hundred


def _history_method(owner: Any, name: str) -> Any:
    """Replace `getattr`, which mmengine's history buffers use for their methods."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'GLOBAL getattr of {name!r}')
    return getattr(owner, name)


def _safe_globals() -> list[Any]:
    # numpy 1 has an alias of this name, for files written by numpy 2.
    multiarray: Any = importlib.import_module('numpy._core.multiarray')
    numpy_parts = [
        (function, f'numpy.{core}.multiarray.{name}')
        for core in ('core', '_core')
        for name, function in (
            ('scalar', multiarray.scalar),
            ('_reconstruct', multiarray._reconstruct),
        )
    ]
    number_dtypes = [type(np.dtype(code)) for code in '?bBhHiIlLqQefd']
    # PyTorch fills only items of exact dict types, so a class of our own would fail.
    configs = [(OrderedDict, name) for name in ('yacs.config.CfgNode', 'argparse.Namespace')]
    methods = (_history_method, 'builtins.getattr')
    return [
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        methods,
        *number_dtypes,
        *numpy_parts,
        *configs,
    ]


def _explain(path: str, error: Exception) -> CheckpointError:
    """Turn any error of a reader into one line that says what to do."""
    # PyTorch wraps its reason in advice to disable the protection.
    text = str(error).split('WeightsUnpickler error:')[-1].strip()
    unsafe = re.search(r'GLOBAL ([\w.]+)', text)
    if isinstance(error, pickle.UnpicklingError) and unsafe:
        return CheckpointError(
            f'{path}: refused, because loading it would run or import `{unsafe.group(1)}`; '
            'nothing was run. If you trust the file, save only its tensors: '
            "torch.save({'state_dict': model.state_dict()}, 'clean.pth'), or safetensors."
        )
    reason = f'{type(error).__name__}: {text}'.splitlines()[0]
    return CheckpointError(
        f'{path}: not a readable checkpoint: truncated, damaged or of another format '
        f'({reason[:120]}). Expected a file of torch.save (in its default protocol) or safetensors.'
    )


def import_safetensors() -> ModuleType:
    """Import safetensors, which backbones do not need until such a file is read.

    Raises:
        CheckpointError: If it is not installed.
    """
    try:
        return importlib.import_module('safetensors.torch')
    except ImportError as error:
        raise CheckpointError('.safetensors files need: pip install safetensors') from error


def read_container(path: str | Path, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a whole checkpoint file: weights and everything stored with them.

    Args:
        path: A local path or any URI that mmengine's file backends support.
        map_location: Device of the tensors, see `torch.load`.

    Returns:
        The dictionary in the file; for safetensors, the tensors.

    Raises:
        CheckpointError: If the file is missing, empty, unreadable, holds no dictionary, or asks
            for an import outside the list above. Nothing in it was executed then.
    """
    name = str(path)
    if name.startswith(('http://', 'https://')):
        content = read_url(name, lambda local: _read_file(local, map_location))
    else:
        if '://' not in name:
            _require_file(Path(name))
        with get_local_path(name) as local:
            content = _read_file(local, map_location, name)
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{name}: the file holds a {type(content).__name__}, expected a dictionary of tensors'
        )
    return content


def _require_file(path: Path) -> None:
    if not path.exists():
        raise CheckpointError(f'{path}: no such checkpoint file')
    if not path.is_file():
        raise CheckpointError(f'{path}: not a file, expected a .pth or .safetensors file')
    if path.stat().st_size == 0:
        raise CheckpointError(f'{path}: the checkpoint file is empty')


def _read_file(path: str, map_location: Any, name: str | None = None) -> Any:
    """Read a local file; `name` replaces its path in messages."""
    name = name or path
    allowed = _safe_globals()  # outside `try`: our own errors are not the file's
    safetensors = import_safetensors() if name.endswith('.safetensors') else None
    try:
        if safetensors:
            device = map_location if isinstance(map_location, str) else 'cpu'
            return safetensors.load_file(path, device=device)
        require_sound_archive(path)
        with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
            # Other pickle protocols raise an error of their own.
            warnings.filterwarnings('ignore', 'Detected pickle protocol')
            mapped = _MAPPED and is_archive(path)
            content = torch.load(path, map_location, weights_only=True, mmap=mapped)
            # Copy, because later changes of a mapped file would change the weights.
            return deepcopy(content) if mapped else content
    except Exception as error:  # damaged pickles can raise any exception
        raise _explain(name, error) from error


def load_checkpoint(path: str | Path, map_location: Any = 'cpu') -> dict[str, Tensor]:
    """Read the weights of a checkpoint file, under their names in the file.

    Args:
        path: A local path or any URI that mmengine's file backends support.
        map_location: Device of the tensors, see `torch.load`.

    Returns:
        Name to tensor, unwrapped from containers (`state_dict`, `model`).

    Raises:
        CheckpointError: If the file cannot be read, or has no finite weights: see
            `read_container` and `find_weights`.

    Examples:
        >>> import tempfile
        >>> import torch
        >>> from mmsmt.checkpoints import load_checkpoint
        >>> path = f'{tempfile.mkdtemp()}/model.pth'
        >>> torch.save({'state_dict': {'fc.weight': torch.ones(5, 3)}}, path)
        >>> {name: tuple(value.shape) for name, value in load_checkpoint(path).items()}
        {'fc.weight': (5, 3)}
    """
    container = read_container(path, map_location)
    return find_weights(container, str(path), on_meta=str(map_location) == 'meta')


def find_weights(container: dict[str, Any], name: str, on_meta: bool = False) -> dict[str, Tensor]:
    """Return the dictionary of tensors in a container, or the container itself.

    Args:
        container: The result of `read_container`.
        name: Name of the file, for messages.
        on_meta: Whether the tensors may be shapes only.

    Raises:
        CheckpointError: If there is no dictionary of tensors, its names are not text, or its
            tensors are not finite.
    """
    # `dict.` because a file may set attributes on its dictionaries that hide their methods.
    for candidate in (*(dict.get(container, key) for key in _CONTAINERS), container):
        if isinstance(candidate, dict) and candidate:
            entries = dict(dict.items(candidate))
            if all(isinstance(value, Tensor) for value in entries.values()):
                _require_names(entries, name)
                require_numbers(entries, name, on_meta)
                return entries
    held = [key for key in dict.keys(container) if isinstance(key, str)]
    raise CheckpointError(
        f'{name}: no dictionary of tensors at the top level or under {", ".join(_CONTAINERS)}; '
        f'it holds: {", ".join(held[:8]) or "nothing"}'
    )


def _require_names(entries: dict[Any, Tensor], name: str) -> None:
    """Raise unless names are printable; tools print them, and terminals obey control characters."""
    for key in entries:
        if not isinstance(key, str):
            raise CheckpointError(
                f'{name}: an entry has a name of type {type(key).__name__}, expected str'
            )
        if not key.isprintable() or len(key) > _LONGEST_NAME:
            raise CheckpointError(
                f'{name}: an entry has the name {key[:40]!r}, expected at most {_LONGEST_NAME} '
                'printable characters'
            )

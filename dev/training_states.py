"""Comparison of two training checkpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmsmt.checkpoints import read_container

# Equal trainings differ in times, paths, and the settings that contain them; mmengine's version
# also contains the commit of the current folder, which may change.
OWN = ('time', 'experiment_name', 'cfg', 'last_ckpt', 'best_ckpt', 'mmengine_version')


def differences(one: Path, other: Path) -> list[str]:
    """Compare two training checkpoints bit by bit, without entries that always differ."""
    left, right = (dict(_leaves(read_container(path))) for path in (one, other))
    return [name for name in left | right if not _equal(left.get(name), right.get(name))]


def _leaves(node: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    if isinstance(node, HistoryBuffer):
        yield name, np.concatenate(node.data)
    elif isinstance(node, dict | list | tuple):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if not str(key).endswith(OWN):
                yield from _leaves(value, f'{name}.{key}' if name else str(key))
    else:
        yield name, node


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor | np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return one == other

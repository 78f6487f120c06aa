"""Conversion of the training history in checkpoints to plain Python types.

mmengine writes history buffers and numpy numbers, which `torch.load(weights_only=True)` and all
inferencers of the hosts refuse.
"""

from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer

# Keys of a checkpoint that hold such objects.
ENTRIES = ('message_hub', 'meta', 'param_schedulers')
_FIELDS = {'history', 'counts', 'max_length'}


def to_plain(value: Any) -> Any:
    """Replace history buffers by dicts, and numpy objects by Python numbers, at any depth."""
    if isinstance(value, HistoryBuffer):
        history, counts = (part.tolist() for part in value.data)
        return {'history': history, 'counts': counts, 'max_length': value.max_length}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: to_plain(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(to_plain, value))
    return value


def restore_history(message_hub: dict[str, Any]) -> None:
    """Restore the history buffers that `to_plain` replaced, in place."""
    scalars = message_hub.get('log_scalars', {})
    for name, value in scalars.items():
        if isinstance(value, dict) and value.keys() == _FIELDS:
            scalars[name] = HistoryBuffer(value['history'], value['counts'], value['max_length'])

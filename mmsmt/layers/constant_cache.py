"""Cache of constant tensors that depend only on sizes and the device."""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

KEPT = 16  # four stages of four image sizes; the oldest is dropped first


def cached_constant(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Cache the results of a function for its last `KEPT` different arguments.

    The tensors belong to the process, not to a module, so they are never in a state dict, pickle or
    copy of a model. Compiled code makes its own; fake tensors are not cached.

    Args:
        make: Returns a tensor without gradient from hashable positional arguments, including the
            device. Callers must not modify the result.

    Returns:
        The function with a cache.
    """
    kept: OrderedDict[Any, Tensor] = OrderedDict()

    @wraps(make)
    def recall(*arguments: Any) -> Tensor:
        # A CUDA graph keeps reading the tensors it captured, but the cache may free them.
        if torch.compiler.is_compiling() or _is_capturing():
            return make(*arguments)
        made = kept.pop(arguments, None)
        if made is None:
            # Inference tensors could not take part in a later training step.
            with torch.inference_mode(False):
                made = make(*arguments)
        if type(made) is Tensor:
            kept[arguments] = made
        if len(kept) > KEPT:
            kept.popitem(last=False)
        return made

    return recall


def _is_capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()

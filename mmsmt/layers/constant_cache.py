"""Cache of constant tensors that depend on sizes and device only."""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

KEPT = 16  # four stages of four sizes of image; the oldest goes first


def cached_constant(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Keep what a function made for its last `KEPT` different arguments.

    The tensors belong to the process, not to a module: they are in no state dict, no pickle and
    no copy of a model. Compilers get new ones, which they see made; fake tensors are not kept.

    Args:
        make: Makes a tensor without gradient from hashable positional arguments, the device
            among them; nobody may change what it made.

    Returns:
        The same function, with a memory.
    """
    kept: OrderedDict[Any, Tensor] = OrderedDict()

    @wraps(make)
    def recall(*arguments: Any) -> Tensor:
        # A CUDA graph reads the memory of what it has seen for ever, the cache lets go of it.
        if torch.compiler.is_compiling() or _is_capturing():
            return make(*arguments)
        made = kept.pop(arguments, None)
        if made is None:
            # A tensor born in inference mode could never again take part in a training step.
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

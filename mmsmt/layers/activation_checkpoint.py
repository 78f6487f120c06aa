"""Activation checkpointing of wide maps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def checkpointed(function: Callable[..., Tensor], *inputs: Tensor, when: bool = True) -> Tensor:
    """Call a function that keeps its inputs for the backward pass, and none of its maps.

    Meant for element-wise and depth-wise operations before one linear layer or 1x1 convolution:
    the wide maps between them cost much memory and little time, and are made again when the
    gradient comes. The product at the end is not: recomputation stops when all that was to be
    kept is there. Compilers see an ordinary call; they decide themselves what to recompute.

    Args:
        function: Draws no random numbers and changes no buffers.
        *inputs: What it is called with.
        when: False makes it an ordinary call.

    Returns:
        The result of the function.
    """
    if not when or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return function(*inputs)
    if not (torch.is_grad_enabled() and any(x.requires_grad for x in inputs)):
        return function(*inputs)
    result: Any = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    return result

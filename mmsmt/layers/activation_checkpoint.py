"""Activation checkpointing of wide maps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def checkpointed(function: Callable[..., Tensor], *inputs: Tensor, when: bool = True) -> Tensor:
    """Call a function, recomputing its intermediate maps in the backward pass.

    Meant for element-wise and depth-wise operations followed by one linear layer or 1x1
    convolution: the wide maps between them cost much memory and little time. The last product is
    not recomputed, because recomputation stops once all saved tensors exist. A compiler sees an
    ordinary call and makes its own choice.

    Args:
        function: Must not draw random numbers or change buffers.
        *inputs: Its arguments.
        when: False for an ordinary call.

    Returns:
        The result of the function.
    """
    if not when or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return function(*inputs)
    if not (torch.is_grad_enabled() and any(x.requires_grad for x in inputs)):
        return function(*inputs)
    result: Any = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    return result

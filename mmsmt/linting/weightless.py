"""Modules without memory for their weights and without the time to initialise them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_MADE = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
_FILLED = {
    *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_, Tensor.copy_),
    *(Tensor.add_, Tensor.sub_, Tensor.mul_, Tensor.div_, Tensor.clamp_, Tensor.erfinv_),
}


class Weightless(TorchFunctionMode):
    """While it is entered, new weights have shapes but no values.

    `with torch.device('meta')` does so for every new tensor: hosts that compute rates of drop
    path with `torch.linspace` then fail, and it takes three times as long.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Make on the meta device what is made, leave alone what would be filled there."""
        kwargs = kwargs or {}
        if func in _FILLED and args and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]
        if func in _MADE and kwargs.get('device') is None:
            kwargs = {**kwargs, 'device': 'meta'}
        return func(*args, **kwargs)

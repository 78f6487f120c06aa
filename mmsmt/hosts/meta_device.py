"""Modules without memory for their weights and without the time to initialise them."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn
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


def build_on_meta(cfg: Config) -> nn.Module:
    """Build a config's model without allocating or loading weights."""
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = copy.deepcopy(cfg.model)
    for part in [model, *(value for value in model.values() if isinstance(value, dict))]:
        part.pop('pretrained', None)
        part.pop('init_cfg', None)
    if 'data_preprocessor' not in model and 'data_preprocessor' in cfg:
        model.data_preprocessor = cfg.data_preprocessor
    with Weightless():
        return MODELS.build(model).to('meta')

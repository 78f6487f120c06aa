"""Construction of models from configs, with memory for weights or on the meta device."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmsmt.errors import UsageError
from mmsmt.hosts.config import without_files

_MADE = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
_FILLED = {
    *(Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_, Tensor.copy_),
    *(Tensor.add_, Tensor.sub_, Tensor.mul_, Tensor.div_, Tensor.clamp_, Tensor.erfinv_),
}


class Weightless(TorchFunctionMode):
    """Context in which new weights have shapes but no values.

    `with torch.device('meta')` takes three times as long, and fails for hosts that compute
    drop-path rates with `torch.linspace`.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Create tensors on the meta device, and skip their initialisation."""
        kwargs = kwargs or {}
        if func in _FILLED and args and isinstance(args[0], Tensor) and args[0].is_meta:
            return args[0]
        if func in _MADE and kwargs.get('device') is None:
            kwargs = {**kwargs, 'device': 'meta'}
        return func(*args, **kwargs)


@contextmanager
def explain_build(config: str) -> Iterator[None]:
    """Name the config in errors that occur while its model is built.

    Raises:
        UsageError: Instead of the hosts' exceptions for wrong arguments.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, OSError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise UsageError(f'{config}: the model cannot be built: {text}') from error


def build_model(cfg: Config) -> nn.Module:
    """Build the model of a config from `read_config`; no weights are loaded or initialised.

    A config with only a backbone gives a module that holds it as `backbone`.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = without_files(cfg.model)
    if 'type' not in model:
        return nn.ModuleDict({'backbone': MODELS.build(model['backbone'])})
    if 'data_preprocessor' in cfg:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return MODELS.build(model)


def build_on_meta(cfg: Config) -> nn.Module:
    """Build a config's model like `build_model`, without memory for its weights."""
    with Weightless():
        return build_model(cfg).to('meta')

"""Mixed precision in bfloat16 on CPUs."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmsmt.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Autocast to bfloat16 on the CPU; no loss scaling is needed.

    Args:
        **kwargs: See `OptimWrapper`.

    Examples:
        >>> import torch
        >>> from mmsmt.engine.optim import CpuAmpOptimWrapper
        >>> model = torch.nn.Linear(8, 2)
        >>> wrapper = CpuAmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
        >>> with wrapper.optim_context(model):
        ...     model(torch.rand(1, 8)).dtype
        torch.bfloat16
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass in bfloat16 where autocast considers it safe."""
        autocast = torch.autocast('cpu', torch.bfloat16)
        with super().optim_context(model), autocast, _float32_regions(model):
            yield


@contextmanager
def _float32_regions(model: nn.Module) -> Iterator[None]:
    """Propose and pool regions in float32: mmcv's operators do not support bfloat16 on CPUs."""
    dtypes: dict[nn.Module, torch.dtype] = {}

    def widen(pooling: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        dtypes[pooling] = inputs[0].dtype
        return tuple(each.float() for each in inputs)

    def narrow(pooling: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.to(dtypes[pooling])

    def widen_maps(head: nn.Module, inputs: Any, maps: Iterable[list[Tensor]]) -> tuple:
        return tuple([each.float() for each in levels] for levels in maps)

    hooks = []
    for layer in model.modules():
        # By name, because mmdet and mmcv may not be installed.
        names = {kind.__name__ for kind in type(layer).__mro__}
        if 'RoIAlign' in names:
            hooks.append(layer.register_forward_pre_hook(widen))
            hooks.append(layer.register_forward_hook(narrow))
        elif 'RPNHead' in names:
            hooks.append(layer.register_forward_hook(widen_maps))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()

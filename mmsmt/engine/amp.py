"""Mixed precision on machines without GPUs, which mmengine's wrapper refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmsmt.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Autocast to bfloat16 on the CPU; its range needs no scaling of the loss.

    Args:
        **kwargs: As in `OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass in bfloat16 where PyTorch deems it safe."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


def prepare_cpu_amp(cfg: Config) -> None:
    """Where there is no GPU, replace `AmpOptimWrapper` by its CPU form, in place."""
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') != 'AmpOptimWrapper' or torch.cuda.is_available():
        return
    dropped: dict[str, Any] = {key: wrapper.pop(key, None) for key in ('loss_scale', 'dtype')}
    wrapper['type'] = f'mmsmt.{CpuAmpOptimWrapper.__name__}'
    print_log(f'no GPU: mixed precision in bfloat16, without {dropped}', logger='current')

"""Gradient clipping by the whole norm under FSDP."""

from typing import Any

import torch
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import distributed

from mmsmt.registry import OPTIM_WRAPPERS


class _ShardedClipping:
    """Clip by the norm over all processes."""

    optimizer: torch.optim.Optimizer
    clip_grad_kwargs: dict[str, Any]

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        gradients = [p.grad for group in groups for p in group['params'] if p.grad is not None]
        device = next((g.device for g in gradients), torch.device('cpu'))
        # A process may hold nothing of a parameter; it still takes part in the sum.
        squares = [gradient.double().square().sum() for gradient in gradients]
        total = torch.stack(squares).sum() if squares else torch.zeros((), device=device).double()
        distributed.all_reduce(total)
        norm = total.sqrt().item()
        scale = min(1.0, self.clip_grad_kwargs['max_norm'] / (norm + 1e-6))  # as PyTorch
        for gradient in gradients:
            gradient.mul_(scale)
        MessageHub.get_current_instance().update_scalar('train/grad_norm', norm)


@OPTIM_WRAPPERS.register_module()
class ShardedOptimWrapper(_ShardedClipping, OptimWrapper):
    """mmengine's `OptimWrapper` for parameters sharded by FSDP; same arguments."""


@OPTIM_WRAPPERS.register_module()
class ShardedAmpOptimWrapper(_ShardedClipping, AmpOptimWrapper):
    """mmengine's `AmpOptimWrapper` for parameters sharded by FSDP; same arguments."""

"""Clipping of gradients that FSDP has sharded, which mmengine clips by each shard's own norm."""

from typing import Any

import torch
from mmengine.config import Config
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


def prepare_sharded_clipping(cfg: Config) -> None:
    """Under FSDP, let a config's optimizer wrapper clip by the whole norm, in place.

    Raises:
        ValueError: If the clipping is not by the 2-norm, or the wrapper is of another type.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    clipping = wrapper.get('clip_grad')
    if not clipping or cfg.get('strategy', {}).get('type') != 'FSDPStrategy':
        return
    if clipping.get('type', 'norm') != 'norm' or clipping.get('norm_type', 2) != 2:
        raise ValueError(f'under FSDP gradients can be clipped by their 2-norm, got {clipping}')
    known = {'OptimWrapper': ShardedOptimWrapper, 'AmpOptimWrapper': ShardedAmpOptimWrapper}
    kind = wrapper.get('type', 'OptimWrapper')
    if kind not in known:
        raise ValueError(f'under FSDP clipping needs one of {sorted(known)}, got {kind}')
    wrapper['type'] = f'mmsmt.{known[kind].__name__}'
    if kind == 'AmpOptimWrapper':
        wrapper['use_fsdp'] = True

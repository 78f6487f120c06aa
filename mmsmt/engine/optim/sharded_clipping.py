"""Gradient clipping by the global norm under FSDP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch.distributed.fsdp import FullyShardedDataParallel

from mmsmt.registry import OPTIM_WRAPPERS


class _ShardedClipping:
    """Clip by the norm over all processes, as FSDP computes it for every sharding strategy.

    `FSDPStrategy` of mmengine 0.10.7 wraps with `FullyShardedDataParallel`; it does not support
    `fully_shard` (FSDP2).
    """

    clip_grad_kwargs: dict[str, Any]

    @contextmanager
    def optim_context(self, model: FullyShardedDataParallel) -> Iterator[None]:
        """Run the forward pass; record the model whose gradients will be clipped."""
        self._model = model
        with super().optim_context(model):  # type: ignore[misc]
            yield

    def _clip_grad(self) -> None:
        norm = self._model.clip_grad_norm_(**self.clip_grad_kwargs)
        MessageHub.get_current_instance().update_scalar('train/grad_norm', float(norm))


@OPTIM_WRAPPERS.register_module()
class ShardedOptimWrapper(_ShardedClipping, OptimWrapper):
    """mmengine's `OptimWrapper` for parameters sharded by FSDP; same arguments."""


@OPTIM_WRAPPERS.register_module()
class ShardedAmpOptimWrapper(_ShardedClipping, AmpOptimWrapper):
    """mmengine's `AmpOptimWrapper` for parameters sharded by FSDP; same arguments."""

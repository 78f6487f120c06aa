"""Optimizer wrappers and their constructors, registered as `mmsmt.<name>`."""

from mmsmt.engine.optim.amp import CpuAmpOptimWrapper
from mmsmt.engine.optim.layer_decay import LayerDecayOptimWrapperConstructor
from mmsmt.engine.optim.sharded_clipping import ShardedAmpOptimWrapper, ShardedOptimWrapper

__all__ = [
    'CpuAmpOptimWrapper',
    'LayerDecayOptimWrapperConstructor',
    'ShardedAmpOptimWrapper',
    'ShardedOptimWrapper',
]

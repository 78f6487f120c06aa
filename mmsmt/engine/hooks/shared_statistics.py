"""Hook that averages batch-norm statistics over processes."""

from typing import Any

from mmengine.dist import all_reduce_params, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop
from torch.nn.modules.batchnorm import _BatchNorm

from mmsmt.registry import HOOKS


@HOOKS.register_module()
class SharedStatisticsHook(Hook):
    """Average running statistics of batch norms over processes before saving or validation.

    Every process has the statistics of its own images, and a checkpoint those of the first process.
    Without this hook a validation during training differs from one of the checkpoint, and resumed
    training from uninterrupted training. SyncBN avoids this, but is BN without a GPU. mmengine's
    `SyncBuffersHook` averages only after epochs, and after averages of weights have copied buffers.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.SharedStatisticsHook'))
    """

    priority = 'ABOVE_NORMAL'  # before weight averaging (EMA), which copies the statistics

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Average the statistics where a checkpoint or a validation may follow."""
        if get_world_size() == 1 or not self._is_due(runner, batch_idx):
            return
        norms = [m for m in runner.model.modules() if isinstance(m, _BatchNorm)]
        all_reduce_params(
            [
                statistics
                for norm in norms
                if norm.track_running_stats
                for statistics in (norm.running_mean, norm.running_var)
            ],
            op='mean',
        )

    def _is_due(self, runner: Any, batch_idx: int) -> bool:
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            return self.end_of_epoch(loop.dataloader, batch_idx)
        intervals = [
            hook.interval
            for hook in runner.hooks
            if isinstance(hook, CheckpointHook) and not hook.by_epoch
        ]
        if runner.val_loop is not None:
            intervals.append(loop.val_interval)
        return self.is_last_train_iter(runner) or any(
            self.every_n_train_iters(runner, interval) for interval in intervals
        )

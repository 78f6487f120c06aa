"""Hook that averages batch-norm statistics over processes."""

from typing import Any

from mmengine.dist import all_reduce_params, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop
from torch.nn.modules.batchnorm import _BatchNorm

from mmsmt.registry import HOOKS


@HOOKS.register_module()
class SharedStatisticsHook(Hook):
    """Average batch norms' running statistics over processes before they are saved or validated.

    Every process has statistics of its own images, and a checkpoint those of the first. So a
    validation in training differed from one of the checkpoint, and a resumed training's from an
    unbroken one's. SyncBN has no such differences, but it is BN where there are no GPUs. mmengine's
    `SyncBuffersHook` averages after epochs alone, and after averages of weights have taken buffers.
    """

    priority = 'ABOVE_NORMAL'  # before averages of weights (EMA), which copy the statistics

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Average where a checkpoint or a validation may follow."""
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

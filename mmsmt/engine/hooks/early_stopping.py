"""Early-stopping hook whose patience survives an interruption."""

from typing import Any

from mmengine.hooks import EarlyStoppingHook

from mmsmt.registry import HOOKS

KEY = 'early_stopping'


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """mmengine's `EarlyStoppingHook`, which a resumed training continues.

    mmengine's starts to count anew, and takes an equal score for a better one. Same arguments;
    `min_delta` is 1e-6 by default.
    """

    priority = 'LOW'  # before the checkpoint hook, whose best checkpoint holds the count

    def __init__(self, monitor: str, min_delta: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(monitor, min_delta=min_delta, **kwargs)

    def before_train(self, runner: Any) -> None:
        """Take the count of the checkpoint that a training is resumed from."""
        state = runner.message_hub.runtime_info.get(KEY)
        if state:
            self.wait_count, self.best_score = state
            runner.train_loop.stop_training = self.wait_count >= self.patience

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Stop after `patience` validations that were no better; keep the count."""
        super().after_val_epoch(runner, metrics)
        runner.message_hub.update_info(KEY, [self.wait_count, float(self.best_score)])

"""Early-stopping hook whose patience survives resuming."""

from typing import Any

from mmengine.hooks import EarlyStoppingHook

from mmsmt.registry import HOOKS

KEY = 'early_stopping'


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """mmengine's `EarlyStoppingHook`, which continues when training is resumed.

    mmengine's hook starts counting again, and counts an equal score as an improvement. Same
    arguments; `min_delta` is 1e-6 by default.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> kind = 'mmsmt.ResumableEarlyStoppingHook'
        >>> hook = HOOKS.build(dict(type=kind, monitor='accuracy/top1'))
    """

    priority = 'LOW'  # before the checkpoint hook, whose best checkpoint holds the count

    def __init__(self, monitor: str, min_delta: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(monitor, min_delta=min_delta, **kwargs)

    def before_train(self, runner: Any) -> None:
        """Restore the count from the checkpoint that training is resumed from."""
        state = runner.message_hub.runtime_info.get(KEY)
        if state:
            self.wait_count, self.best_score = state
            runner.train_loop.stop_training = self.wait_count >= self.patience

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Stop after `patience` validations without improvement; save the count."""
        super().after_val_epoch(runner, metrics)
        runner.message_hub.update_info(KEY, [self.wait_count, float(self.best_score)])

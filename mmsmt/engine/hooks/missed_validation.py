"""Hook that runs a validation that an interruption skipped."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from mmsmt.registry import HOOKS


@HOOKS.register_module()
class MissedValidationHook(Hook):
    """Run a validation that an interruption skipped, before resumed training continues.

    mmengine saves an epoch's checkpoint before it validates, and resumes with the next epoch. If it
    is killed in between, or during validation, that epoch would never be evaluated.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.MissedValidationHook'))
    """

    priority = 'LOWEST'  # after the checkpoint hook, which may save the best

    def before_train(self, runner: Any) -> None:
        """Run the skipped validation, if any."""
        loop = runner.train_loop
        if runner.val_loop is None or _position(runner) == 0:
            return
        loop._decide_current_val_interval()
        done, limit = _position(runner), _limit(runner)
        due = done >= loop.val_begin and (done % loop.val_interval == 0 or done == limit)
        if due and runner.message_hub.runtime_info.get('last_validated') != done:
            runner.val_loop.run()

    def before_val_epoch(self, runner: Any) -> None:
        """Record the validation for checkpoints that are saved after it."""
        runner.message_hub.update_info('last_validated', _position(runner))


def _position(runner: Any) -> int:
    """Return the number of finished epochs, or iterations in iteration-based training."""
    return runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else runner.iter


def _limit(runner: Any) -> int:
    counts_epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
    return runner.max_epochs if counts_epochs else runner.max_iters

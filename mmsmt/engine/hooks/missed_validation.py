"""Hook that runs a validation which an interruption skipped."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from mmsmt.registry import HOOKS


@HOOKS.register_module()
class MissedValidationHook(Hook):
    """Validate a resumed training's checkpoint first, where that was due and is not in it.

    mmengine saves an epoch's checkpoint before it validates, and goes on with the next epoch:
    killed in between, or while it validates, a run would never know how good the epoch was.
    """

    priority = 'LOWEST'  # the checkpoint hook, which may keep the best, has to be ready

    def before_train(self, runner: Any) -> None:
        """Make up for a validation."""
        loop = runner.train_loop
        if runner.val_loop is None or _position(runner) == 0:
            return
        loop._decide_current_val_interval()
        done, limit = _position(runner), _limit(runner)
        due = done >= loop.val_begin and (done % loop.val_interval == 0 or done == limit)
        if due and runner.message_hub.runtime_info.get('last_validated') != done:
            runner.val_loop.run()

    def before_val_epoch(self, runner: Any) -> None:
        """Remember what is validated, for checkpoints that are saved after it."""
        runner.message_hub.update_info('last_validated', _position(runner))


def _position(runner: Any) -> int:
    """Epochs or iterations done, whichever the training counts in."""
    return runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else runner.iter


def _limit(runner: Any) -> int:
    counts_epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
    return runner.max_epochs if counts_epochs else runner.max_iters

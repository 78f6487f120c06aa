"""Progress bar hook for terminals."""

from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mmsmt.console import progress_console
from mmsmt.registry import HOOKS


def new_bar(console: Console) -> Progress:
    """Return a progress bar with the remaining time, which disappears when it is done."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Show a progress bar with the remaining time for training, validation and test.

    It is shown only in a terminal and by the main process; otherwise the log lines of `LoggerHook`,
    which also have an ETA, are enough.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.ProgressBarHook'))
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        console = progress_console()
        self.enabled = console.is_terminal and is_main_process()
        self.bar = new_bar(console)

    def _start(self, name: str, total: int, completed: int = 0) -> None:
        if self.enabled:
            self.bar.start()
            self.bar.add_task(name, total=total, completed=completed)

    def _advance(self) -> None:
        if self.enabled:
            self.bar.advance(self.bar.task_ids[-1])

    def _finish(self) -> None:
        if self.enabled:
            self.bar.remove_task(self.bar.task_ids[-1])
            if not self.bar.task_ids:
                self.bar.stop()

    def before_train(self, runner: Any) -> None:
        """Open the bar of the whole training, at the current iteration."""
        self._start('train', runner.max_iters, runner.iter)

    def after_train_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Advance by one iteration."""
        self._advance()

    def after_train(self, runner: Any) -> None:
        """Close the training's bar."""
        self._finish()

    def before_val_epoch(self, runner: Any) -> None:
        """Open the bar of a validation."""
        self._start('val', len(runner.val_dataloader))

    def after_val_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Advance by one batch."""
        self._advance()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Close the bar of a validation."""
        self._finish()

    def before_test_epoch(self, runner: Any) -> None:
        """Open the bar of a test."""
        self._start('test', len(runner.test_dataloader))

    def after_test_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Advance by one batch."""
        self._advance()

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Close the bar of a test."""
        self._finish()

"""Base class of hooks that test another module in place of the model."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


class ReplacedModelHook(Hook):
    """Test the result of `replacement`; the model itself is restored afterwards."""

    # After EMAHook, which swaps in the averaged weights.
    priority = 'LOWEST'

    def replacement(self, model: nn.Module) -> nn.Module:
        """Return the module to test instead of an unwrapped model."""
        raise NotImplementedError

    def before_test_epoch(self, runner: Runner) -> None:
        """Replace the model."""
        self.model = runner.model
        if is_model_wrapper(runner.model):  # has a process group, which cannot be copied
            self.model = runner.model.module
            runner.model.module = self.replacement(self.model)
        else:
            runner.model = self.replacement(self.model)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Restore the model."""
        if is_model_wrapper(runner.model):
            runner.model.module = self.model
        else:
            runner.model = self.model

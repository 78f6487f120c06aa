"""Hook that tests another module in the model's place."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


class ReplacedModelHook(Hook):
    """Test what `replacement` gives; the model itself is back afterwards."""

    # After EMAHook, which swaps the averaged weights in.
    priority = 'LOWEST'

    def replacement(self, model: nn.Module) -> nn.Module:
        """What is tested in place of a model, which is in no wrapper."""
        raise NotImplementedError

    def before_test_epoch(self, runner: Runner) -> None:
        """Put the replacement in the model's place."""
        self.model = runner.model
        if is_model_wrapper(runner.model):  # holds a group of processes, which cannot be copied
            self.model = runner.model.module
            runner.model.module = self.replacement(self.model)
        else:
            runner.model = self.replacement(self.model)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the model back."""
        if is_model_wrapper(runner.model):
            runner.model.module = self.model
        else:
            runner.model = self.model

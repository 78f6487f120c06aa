"""Hook that tests the deploy form of a model."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmsmt.deploy import deploy
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class DeployHook(Hook):
    """Test a deploy form of the model; the model itself is back afterwards."""

    # After EMAHook, which swaps the averaged weights in.
    priority = 'LOWEST'

    def before_test_epoch(self, runner: Runner) -> None:
        """Put the deploy form in the model's place."""
        self.model = runner.model
        if is_model_wrapper(runner.model):  # holds a group of processes, which cannot be copied
            self.model = runner.model.module
            runner.model.module = deploy(self.model)
        else:
            runner.model = deploy(self.model)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the model back."""
        if is_model_wrapper(runner.model):
            runner.model.module = self.model
        else:
            runner.model = self.model

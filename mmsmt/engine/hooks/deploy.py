"""Hook that tests the deploy form of a model."""

from torch import nn

from mmsmt.deploy import deploy
from mmsmt.engine.hooks.replaced_model import ReplacedModelHook
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class DeployHook(ReplacedModelHook):
    """Test a deploy form of the model; the model itself is back afterwards."""

    def replacement(self, model: nn.Module) -> nn.Module:
        """The deploy form."""
        return deploy(model)

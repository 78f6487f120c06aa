"""Hook that tests a model in deploy form."""

from torch import nn

from mmsmt.deploy import deploy
from mmsmt.engine.hooks.replaced_model import ReplacedModelHook
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class DeployHook(ReplacedModelHook):
    """Test the deploy form of the model; the model itself is restored afterwards."""

    def replacement(self, model: nn.Module) -> nn.Module:
        """Return the deploy form."""
        return deploy(model)

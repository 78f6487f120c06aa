"""Hook that tests an exported file."""

from pathlib import Path

import torch
from torch import nn

from mmsmt.deploy.session import open_session
from mmsmt.engine.exported import ExportedModel
from mmsmt.engine.hooks.replaced_model import ReplacedModelHook
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class ExportedModelHook(ReplacedModelHook):
    """Test an exported file in place of the model, which is restored afterwards.

    Args:
        path: `.onnx` or `.xml`.
        precision: See `mmsmt.deploy.session.open_session`.
    """

    def __init__(self, path: str | Path, precision: str = 'float32') -> None:
        self.path, self.precision = path, precision

    def replacement(self, model: nn.Module) -> nn.Module:
        """Return the exported file in its runtime."""
        session = open_session(self.path, torch.get_num_threads(), self.precision)
        return ExportedModel(session, model)

"""Hook that tests an exported file."""

from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsmt.deploy.session import open_session
from mmsmt.engine.exported import ExportedModel
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class ExportedModelHook(Hook):
    """Test an exported file in the model's place; the model is back afterwards.

    Args:
        path: `.onnx` or `.xml`.
        precision: See `mmsmt.deploy.session.open_session`.
    """

    priority = 'LOWEST'

    def __init__(self, path: str | Path, precision: str = 'float32') -> None:
        self.path, self.precision = path, precision

    def before_test_epoch(self, runner: Runner) -> None:
        """Put the file in the model's place."""
        self.model = runner.model
        session = open_session(self.path, torch.get_num_threads(), self.precision)
        runner.model = ExportedModel(session, getattr(self.model, 'module', self.model))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put the model back."""
        runner.model = self.model

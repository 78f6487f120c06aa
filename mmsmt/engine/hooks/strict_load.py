"""Hook that refuses checkpoints that do not fit."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from mmsmt.engine.patches import install_safe_loading
from mmsmt.hosts.weights import fit_weights
from mmsmt.registry import HOOKS


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers for distributed training or test-time augmentation."""
    inner: Any = model
    while is_model_wrapper(inner) or isinstance(inner, BaseTTAModel):
        inner = inner.module
    return inner


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Start a run only from a checkpoint that fits the whole model.

    Released files of this package's backbones are accepted too (in any naming dialect, with their
    head as that of an mmpretrain classifier). mmengine alone loads with `strict=False` and only
    logs what does not fit.

    Args:
        allow: Entries or modules of the model that may be missing, unexpected or of another shape
            in the file, such as a new head.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.StrictLoadHook', allow=['head.fc']))
    """

    priority = 'VERY_HIGH'

    def __init__(self, allow: Sequence[str] = ()) -> None:
        install_safe_loading()
        self.allow = (allow,) if isinstance(allow, str) else tuple(allow)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Replace the checkpoint's weights by the translated entries that fit.

        Raises:
            CheckpointError: If anything outside `allow` does not fit, or nothing fits.
        """
        model = unwrap(runner.model)
        source = str(getattr(runner, '_load_from', None) or 'checkpoint')
        checkpoint['state_dict'], report = fit_weights(
            model, checkpoint, source, self.allow, option='load_allow'
        )
        runner.logger.info(f'{source}: {report}')

"""Hook that lets a run start only from a checkpoint that fits."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from mmsmt.engine.patches import install_safe_loading
from mmsmt.hosts.weights import fit_weights
from mmsmt.registry import HOOKS


def unwrap(model: nn.Module) -> nn.Module:
    """The model that is trained, inside what spreads it over processes or merges its views."""
    inner: Any = model
    while is_model_wrapper(inner) or isinstance(inner, BaseTTAModel):
        inner = inner.module
    return inner


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Let a run start only from a checkpoint that fits the whole model.

    Takes released files of this suite's backbones as well (any of their naming dialects,
    their head as that of an mmpretrain classifier). mmengine alone loads with
    `strict=False` and merely logs what did not fit.

    Args:
        allow: Entries or modules of the model that may be missing, superfluous or of
            another shape in the file: a new head, say.
    """

    priority = 'VERY_HIGH'

    def __init__(self, allow: Sequence[str] = ()) -> None:
        install_safe_loading()
        self.allow = (allow,) if isinstance(allow, str) else tuple(allow)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Replace the checkpoint's weights by translated ones that fit.

        Raises:
            CheckpointError: If anything outside `allow` does not fit, or nothing fits.
        """
        model = unwrap(runner.model)
        source = str(getattr(runner, '_load_from', None) or 'checkpoint')
        checkpoint['state_dict'], report = fit_weights(
            model, checkpoint, source, self.allow, option='load_allow'
        )
        runner.logger.info(f'{source}: {report}')

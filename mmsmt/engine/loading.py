"""`load_from`, `--resume` and test checkpoints: read safely, translated, checked."""

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmsmt.backbones import FourStageBackbone
from mmsmt.checkpoints import LoadReport, compare, read_container, to_host
from mmsmt.checkpoints.reading import find_weights
from mmsmt.registry import HOOKS


def load_from_mmsmt(filename: str, map_location: Any = 'cpu', **_: Any) -> dict[str, Any]:
    """`read_container` under a name of which mmengine's log makes "by mmsmt backend"."""
    return read_container(filename, map_location)


def install_safe_loading() -> None:
    """Make mmengine read local and web checkpoints with `read_container`.

    Without it, mmengine 0.10.7 cannot resume its own checkpoints under torch >= 2.6,
    cannot read safetensors, and unpickles what comes from the web.
    """
    schemes = ('', 'http://', 'https://')
    CheckpointLoader.register_scheme(schemes, loader=load_from_mmsmt, force=True)


def _unwrap(model: nn.Module) -> nn.Module:
    inner: Any = model
    while is_model_wrapper(inner) or isinstance(inner, BaseTTAModel):
        inner = inner.module
    return inner


def fit_weights(
    model: nn.Module, container: dict[str, Any], source: str, allow: Sequence[str] = ()
) -> tuple[dict[str, Tensor], LoadReport]:
    """Find a model's weights in what a checkpoint holds, under the model's names.

    Args:
        model: A host's model; where its `backbone` is of this suite, released files fit too,
            their head as that of an mmpretrain classifier.
        container: As `read_container` gives it.
        source: What was read, for messages.
        allow: Entries or modules of the model that may be missing, superfluous or of another
            shape; the backbone will let those pass that are its own.

    Returns:
        Name to tensor, for `load_state_dict`, and what fits.

    Raises:
        CheckpointError: If anything outside `allow` does not fit, or nothing fits.
    """
    state = find_weights(container, source)
    backbone = getattr(model, 'backbone', None)
    dialect, hint, dropped = None, '', list[str]()
    if isinstance(backbone, FourStageBackbone):
        parts = backbone.translate(state)
        dialect, hint = parts.dialect, backbone.fit_hint(parts.backbone)
        dropped = list(parts.dropped)
        state = to_host(parts, 'classifier') | parts.other
        backbone.allow_partial = tuple(
            name.removeprefix('backbone').removeprefix('.')
            for name in allow
            if f'{name}.'.startswith('backbone.')
        )
    report = compare(model.state_dict(), state, dropped, dialect)
    report.require_fit(source, allow, hint)
    return state, report


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
        model = _unwrap(runner.model)
        source = str(getattr(runner, '_load_from', None) or 'checkpoint')
        checkpoint['state_dict'], report = fit_weights(model, checkpoint, source, self.allow)
        runner.logger.info(f'{source}: {report}')

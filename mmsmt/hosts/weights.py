"""A checkpoint's entries under the names of a host's model."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mmsmt.backbones import FourStageBackbone
from mmsmt.checkpoints import LoadReport, compare, to_host
from mmsmt.checkpoints.reader import find_weights


def fit_weights(
    model: nn.Module,
    container: dict[str, Any],
    source: str,
    allow: Sequence[str] = (),
    option: str = 'allow',
) -> tuple[dict[str, Tensor], LoadReport]:
    """Find a model's weights in what a checkpoint holds, under the model's names.

    Args:
        model: A host's model; where its `backbone` is of this suite, released files fit too,
            their head as that of an mmpretrain classifier.
        container: As `read_container` gives it.
        source: What was read, for messages.
        allow: Entries or modules of the model that may be missing, superfluous or of another
            shape.
        option: What the user calls `allow`, for the message.

    Returns:
        A state for `load_state_dict`, and what fits.

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
        state = to_host(parts, 'classifier', backbone_only=True) | parts.other
    report = compare(model.state_dict(), state, dropped, dialect)
    report.require_fit(source, allow, hint, option)
    return report.keep_fitting(state), report


def load_weights(
    model: nn.Module, container: dict[str, Any], source: str, allow: Sequence[str] = ()
) -> None:
    """Load what a checkpoint holds into a model, as far as `fit_weights` lets it pass.

    Args:
        model: See `fit_weights`; so are the others.
        container: As `read_container` gives it.
        source: What was read, for messages.
        allow: Entries or modules that may differ.

    Raises:
        CheckpointError: As `fit_weights`.
    """
    state, _ = fit_weights(model, container, source, allow)
    model.load_state_dict(state, strict=False)  # what may be missing is in `allow`


def dataset_meta_of(container: Mapping[str, Any]) -> dict[str, Any]:
    """`classes`, `palette` and other lists that a host's checkpoint has of its data set."""
    meta = container.get('meta')
    if not isinstance(meta, Mapping):
        return {}
    return lists_of({**meta, **(meta.get('dataset_meta') or {})})  # files of mmdet 2 have CLASSES


def lists_of(meta: Mapping[Any, Any]) -> dict[str, Any]:
    """The lists of a data set's description, their names in small letters."""
    lists = {key.lower(): value for key, value in meta.items() if isinstance(key, str)}
    return {key: value for key, value in lists.items() if isinstance(value, list | tuple)}

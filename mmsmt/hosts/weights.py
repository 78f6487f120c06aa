"""Checkpoint entries under the names of a host's model."""

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
    """Find a model's weights in a checkpoint, under the model's names.

    Args:
        model: A host's model; if its `backbone` is from this package, released files fit too, with
            their head as that of an mmpretrain classifier.
        container: The result of `read_container`.
        source: Name of the file, for messages.
        allow: Entries or modules of the model that may be missing, unexpected or of another shape.
        option: The user's name for `allow`, for the message.

    Returns:
        A state dict for `load_state_dict`, and a report of what fits.

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
    """Load a checkpoint into a model, under the conditions of `fit_weights`.

    Args:
        model: See `fit_weights`.
        container: The result of `read_container`.
        source: Name of the file, for messages.
        allow: Entries or modules that may differ.

    Raises:
        CheckpointError: See `fit_weights`.
    """
    state, _ = fit_weights(model, container, source, allow)
    model.load_state_dict(state, strict=False)  # `allow` may be missing


def dataset_meta_of(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return `classes`, `palette` and other lists of the data set from a host's checkpoint."""
    meta = container.get('meta')
    if not isinstance(meta, Mapping):
        return {}
    return lists_of({**meta, **(meta.get('dataset_meta') or {})})  # mmdet 2 writes CLASSES


def lists_of(meta: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the lists in a data set's description, with names in lower case."""
    lists = {key.lower(): value for key, value in meta.items() if isinstance(key, str)}
    return {key: value for key, value in lists.items() if isinstance(value, list | tuple)}

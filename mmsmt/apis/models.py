"""Models as users name them: a config with weights, a name, a folder or an exported file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from mmsmt.apis.hub import read_folder
from mmsmt.apis.hub.folder import is_folder
from mmsmt.apis.names import find_entry, is_model_name, published_weights
from mmsmt.checkpoints import read_container
from mmsmt.deploy.description import read_description
from mmsmt.deploy.session import Session, format_of, open_session
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config


class FoundModel(NamedTuple):
    """A model that was found, but not built yet.

    Args:
        name: Name for messages.
        cfg: Config of the model.
        source: Origin of the weights.
        container: Content of the checkpoint; for an exported file only the classes.
        session: The exported file in its runtime, or None for a checkpoint.
    """

    name: str
    cfg: Config
    source: str
    container: Mapping[str, Any]
    session: Session | None


def find_model(
    model: str, checkpoint: str = '', precision: str = 'float32', runtime: str | None = None
) -> FoundModel:
    """Find a model and read its weights.

    Args:
        model: A config file, `package::path` in a host's configs, a name of `list_models()`, a
            folder written by `save_pretrained`, or an exported file.
        checkpoint: Weights or an exported file, for a config or a name. Folders and exported files
            have their own weights; names may have published ones.
        precision: Precision in which OpenVINO computes.
        runtime: Runtime of an exported file.

    Raises:
        UsageError: If there is no such model, or an argument does not apply to it.
        CheckpointError: If the weights cannot be read.
        ConfigError: If the config of a folder or an exported file could run code.
    """
    file = checkpoint or (model if format_of(model) else '')
    exported = format_of(file) is not None
    if not exported and (runtime or precision != 'float32'):
        option = f'--runtime {runtime}' if runtime else f'--precision {precision}'
        raise UsageError(f'{option} only applies to exported files: mmsmt export writes one')
    session = open_session(file, torch.get_num_threads(), precision, runtime) if exported else None
    if checkpoint and (is_folder(model) or format_of(model)):
        raise UsageError(f'{model} has its own weights: omit {checkpoint}')
    if session and file == model:
        described = read_description(session.description, model)
        meta = {'dataset_meta': described.dataset_meta}
        return FoundModel(model, described.cfg, model, {'meta': meta}, session)
    if is_folder(model):
        folder = read_folder(model)
        return FoundModel(model, folder.cfg, folder.weights, folder.container(), None)
    cfg = _config_of(model)
    if session:
        return FoundModel(model, cfg, file, {}, session)
    source = checkpoint or _weights_of(model, cfg)
    return FoundModel(model, cfg, source, read_container(source), None)


def _config_of(model: str) -> Config:
    if (
        is_model_name(model) or Path(model).name == model.partition('.')[0]
    ):  # anything that looks like a name is a name
        return read_config(find_entry(model).config)
    return read_config(model)


def _weights_of(model: str, cfg: Config) -> str:
    if is_model_name(model):
        return published_weights(model, cfg)
    raise UsageError(f'{model}: a config needs a checkpoint (.pth or .safetensors) after it')

"""`save_pretrained` and `from_pretrained`: write a model to a folder and read it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from mmsmt import __version__
from mmsmt.apis.classes import find_classes
from mmsmt.apis.hub.card import Facts, task_of, write_card
from mmsmt.apis.hub.folder import (
    CARD,
    CONFIG,
    METADATA,
    WEIGHTS,
    is_folder,
    read_folder,
    require_free,
    write_folder,
)
from mmsmt.apis.hub.metrics import read_metrics
from mmsmt.apis.hub.remote import fetch, is_repository
from mmsmt.apis.names import get_config, is_model_name, prepare_for_hosts
from mmsmt.checkpoints import read_container
from mmsmt.checkpoints.reader import import_safetensors
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.meta_device import build_model, build_on_meta, explain_build
from mmsmt.hosts.portable import to_portable, to_text
from mmsmt.hosts.weights import fit_weights, load_weights


def save_pretrained(
    folder: str | Path,
    model: nn.Module | Config | str,
    checkpoint: str | Path = '',
    *,
    name: str = '',
    metrics: Mapping[str, float] | str | Path | None = None,
    license: str = '',
) -> Path:
    """Write a model's weights, config, classes and model card to a folder.

    Args:
        folder: Must be absent or empty. On an error it is left as it was.
        model: A model of `get_model` or `from_pretrained`, with its weights; or a config, config
            file or name of `list_models()`, with a checkpoint.
        checkpoint: `.pth` or `.safetensors`, in any dialect that fits.
        name: Name of the model, that of the config by default.
        metrics: Results for the card, by name; or a JSON file of them, as written to `work_dir` by
            `tools/test.py` and training.
        license: Licence of the weights as spelt by the Hugging Face Hub: `mit`, `apache-2.0`, ...

    Returns:
        The folder.

    Raises:
        UserError: If the model cannot be built, the checkpoint does not fit, the config cannot be
            shared, or the folder is not empty.

    Examples:
        >>> import mmsmt
        >>> model = mmsmt.get_model('smt_t_in1k', head=dict(num_classes=5))
        >>> mmsmt.save_pretrained('my_model', model)
        PosixPath('my_model')
        >>> model = mmsmt.from_pretrained('my_model')
    """
    require_free(folder)
    safetensors = import_safetensors()
    results = read_metrics(metrics) if metrics is not None else {}
    cfg, source = _config_of(model)
    if 'type' not in cfg.get('model', {}):
        raise UsageError(f'{source}: not a training config: `model` is missing')
    container = _container_of(model, checkpoint)
    with explain_build(source):
        shell = build_on_meta(cfg)
    state, _ = fit_weights(shell, container, str(checkpoint) or source)
    classes = find_classes(shell, container, cfg)
    plain = to_portable(cfg, source)
    name = name or Path(source).stem
    metadata = {
        'name': name,
        'task': task_of(shell),
        'mmsmt': __version__,
        'classes': classes.names,
        'palette': classes.colors,
        'metrics': results,
    }
    facts = Facts(name, shell, cfg, classes.names, results, license)
    # Copies, because tensors that share memory cannot be written.
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    return write_folder(
        folder,
        {
            WEIGHTS: safetensors.save(tensors, {'format': 'pt'}),
            CONFIG: to_text(plain).encode(),
            METADATA: (json.dumps(metadata, indent=1) + '\n').encode(),
            CARD: write_card(facts).encode(),
        },
    )


def _config_of(model: nn.Module | Config | str) -> tuple[Config, str]:
    """Return a model's config, and its name for messages."""
    cfg: Any = model
    if isinstance(model, nn.Module):
        cfg = getattr(model, 'cfg', None)
        if not isinstance(cfg, Config):
            raise UsageError('the model has no `cfg`: pass its config and a checkpoint instead')
    if not isinstance(cfg, Config):
        return (get_config if is_model_name(str(cfg)) else read_config)(str(cfg)), str(cfg)
    return cfg, str(cfg.filename or 'model')


def _container_of(model: nn.Module | Config | str, checkpoint: str | Path) -> dict[str, Any]:
    if isinstance(model, nn.Module):
        if checkpoint:
            raise UsageError('a built model already has weights: omit the checkpoint')
        meta = getattr(model, 'dataset_meta', None) or {}
        return {'state_dict': model.state_dict(), 'meta': {'dataset_meta': meta}}
    if not checkpoint:
        raise UsageError('a config needs a checkpoint')
    return read_container(checkpoint)


def from_pretrained(
    source: str | Path, *, revision: str | None = None, token: str | None = None
) -> nn.Module:
    """Build the model of a folder with its weights, in eval mode on the CPU.

    Args:
        source: A folder, or `OWNER/NAME` on the hub, which is downloaded once and cached.
        revision: Branch, tag or commit on the hub.
        token: Token for a private repository; that of `hf auth login` or HF_TOKEN by default.

    Returns:
        The model of mmpretrain, mmdet or mmseg, for which their functions and inferencers find the
            config and the classes.

    Raises:
        UserError: If the folder cannot be read, is unsafe or does not fit, or the hub cannot be
            reached.
    """
    path = Path(source)
    if not path.exists() and is_repository(str(source)):
        path = fetch(str(source), revision=revision, token=token)
    elif not is_folder(path):
        hint = '' if path.is_dir() else '; on the hub its name would be OWNER/NAME'
        raise UsageError(f'{source}: not a model folder{hint}')
    folder = read_folder(path)
    model = build_model(folder.cfg)
    load_weights(model, folder.container(), folder.weights)
    return prepare_for_hosts(model, folder.cfg, folder.dataset_meta)

"""Models by name: the model index, its configs and models, published weights."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import filter as matching
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

from mmsmt.checkpoints import read_container
from mmsmt.errors import UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.meta_device import build_model
from mmsmt.hosts.weights import load_weights
from mmsmt.paths import carried
from mmsmt.text import nearest, some

INDEX = 'model-index.yml'


class Entry(NamedTuple):
    """An entry of the model index.

    Args:
        config: Config file.
        weights: URL of the published weights, empty if there are none.
        origin: Who published them, and where; without a URL, why there are none.
        licence: Licence of the weights, empty if there is none.
    """

    config: str
    weights: str
    origin: str
    licence: str


@cache
def read_metafiles() -> list[dict[str, Any]]:
    """Return the metafiles of the index, in its order."""
    index = carried(INDEX)
    return [
        yaml.safe_load((index.parent / name).read_text(encoding='utf-8'))
        for name in yaml.safe_load(index.read_text(encoding='utf-8'))['Import']
    ]


@cache
def read_index() -> Mapping[str, Entry]:
    """Return the entries of the index by name, in the order of the metafiles."""
    index, metafiles = carried(INDEX), read_metafiles()
    weights_of = {
        collection['Name']: collection['Metadata']['Weights']
        for metafile in metafiles
        for collection in metafile.get('Collections', [])
    }
    return {
        entry['Name']: Entry(
            str(index.parent / entry['Config']),
            entry.get('Weights', ''),
            weights_of[entry['In Collection']]['Origin'],
            weights_of[entry['In Collection']].get('License', ''),
        )
        for metafile in metafiles
        for entry in metafile['Models']
    }


def is_model_name(name: str) -> bool:
    """Return whether a name is in the index; an existing file of that name takes precedence."""
    return name in read_index() and not Path(name).is_file()


def find_entry(name: str) -> Entry:
    """Return the entry of a name.

    Raises:
        UsageError: If there is none; the message suggests the nearest name.
    """
    index = read_index()
    if name in index:
        return index[name]
    meant = nearest(name, index)
    hint = f'did you mean {meant}? ' if meant else ''
    raise UsageError(f'unknown model {name!r}; {hint}mmsmt.list_models() lists all names')


def list_models(pattern: str = '*') -> list[str]:
    """Return the names for `get_model`, sorted.

    Args:
        pattern: Pattern of the names, with `*` and `?` as in a shell.

    Examples:
        >>> import mmsmt
        >>> mmsmt.list_models('upernet_smt_*')
        ['upernet_smt_b_160k_ade20k', 'upernet_smt_s_160k_ade20k', 'upernet_smt_t_160k_ade20k']
    """
    return sorted(matching(read_index(), pattern))


def get_config(name: str) -> Config:
    """Return the config of a name; the inferencers of mmdet and mmseg accept it for a name.

    Raises:
        UsageError: If the name is unknown.
    """
    return read_config(find_entry(name).config)


def find_model_for_host(name: str) -> tuple[Config, str | None] | None:
    """Return config and URL of published weights, if any, for the hosts' inferencers.

    Returns None if there is no model of that name.
    """
    entry = read_index().get(name)
    return (read_config(entry.config), entry.weights or None) if entry else None


def get_model(
    name: str,
    weights: str | bool | None = None,
    *,
    allow: Sequence[str] = (),
    **overrides: Any,
) -> nn.Module:
    """Build a model by name, in eval mode on the CPU.

    Args:
        name: One of `list_models()`.
        weights: Path or URL of a checkpoint, or True for the published weights. By default the
            weights are random: neither a checkpoint nor a pre-trained backbone is loaded.
        allow: Entries or modules that may differ between the checkpoint and the model.
        **overrides: Fields of the config's `model` to replace; dicts are merged.

    Returns:
        The model of mmpretrain, mmdet or mmseg, for which their functions and inferencers find the
            config and the classes of the checkpoint.

    Raises:
        UsageError: If the name is unknown or has no published weights.
        CheckpointError: If the checkpoint cannot be read or does not fit.

    Examples:
        >>> import mmsmt
        >>> model = mmsmt.get_model('smt_t_in1k', head=dict(num_classes=5))
        >>> type(model).__name__, model.head.fc.out_features
        ('ImageClassifier', 5)
    """
    cfg = get_config(name)
    source = published_weights(name, cfg) if weights is True else weights or ''
    if overrides:
        cfg.merge_from_dict({'model': overrides})
    model: Any = build_model(cfg)
    with _without_remarks():
        model.init_weights()
    meta: dict[str, Any] = {}
    if source:
        container = read_container(source)
        load_weights(model, container, source, allow)
        meta = (container.get('meta') or {}).get('dataset_meta') or {}
    return prepare_for_hosts(model, cfg, meta)


def prepare_for_hosts(model: Any, cfg: Config, meta: Mapping[str, Any]) -> nn.Module:
    """Attach config and classes where functions and inferencers of the hosts look for them.

    Args:
        model: A host's model; it is set to eval mode.
        cfg: Config of the model.
        meta: `classes` and `palette`, if known.
    """
    # mmdet and mmseg use the first two, mmpretrain the others.
    model.cfg, model.dataset_meta = cfg, dict(meta)
    model._config, model._dataset_meta, model._metainfo = cfg, dict(meta), None
    return model.eval()


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Silence mmengine's list of how every parameter was initialised."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def published_weights(name: str, cfg: Config) -> str:
    """Return the URL of the published weights of a name.

    Raises:
        UsageError: If there are none; the message offers alternatives.
    """
    entry = find_entry(name)
    if entry.weights:
        return entry.weights
    with_weights = {other.weights: key for key, other in read_index().items() if other.weights}
    init = cfg.model.backbone.get('init_cfg') or {}
    if backbone := with_weights.get(init.get('checkpoint', '')):
        why = 'nobody published weights for this model'
        instead = (
            f'its backbone has some, in {backbone}: `mmsmt train` starts from them, and '
            f"get_model('{backbone}', weights=True) loads them"
        )
    else:
        why = entry.origin
        instead = f'{some(with_weights.values(), 6)} have published weights'
    raise UsageError(
        f'{name}: no published weights ({why}). {instead}; '
        f'weights=PATH loads your own file, and without it the weights are random'
    )

"""Local files of weights: there, readable without running anything, and of this model.

Addresses of the web are not fetched.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import nn

from mmsmt.backbones.weights import ReleasedWeightsModule
from mmsmt.checkpoints import read_container
from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.roles import parts_of
from mmsmt.engine.hooks.strict_load import StrictLoadHook
from mmsmt.errors import CheckpointError

# Where trainings write: a config may start from what another one has yet to train.
_RESULTS = 'work_dirs'


def check_weights(
    config: Any, model: nn.Module | None, backbone: nn.Module | None
) -> list[Finding]:
    """Check `load_from` and every `Pretrained` of a config.

    Args:
        config: A config.
        model: Built from it, None where it cannot be.
        backbone: Built from it, None where it cannot be.

    Returns:
        The findings. A missing file below a folder `work_dirs` is a note.
    """
    findings = [*_check_load_from(config, model)]
    if config.model.get('pretrained'):
        findings += _check_file('model.pretrained', config.model.pretrained)
    for part in parts_of(config):
        if not str(part.config.get('type')).endswith('Pretrained') or 'init_cfg' not in part.path:
            continue
        key, file = f'{part.key}.checkpoint', part.config.get('checkpoint')
        found = list(_check_file(key, file))
        own = part.path[:3] == ('model', 'backbone', 'init_cfg')
        if not found and own and _is_local(file) and isinstance(backbone, ReleasedWeightsModule):
            found += _check_backbone(key, part.config, backbone)
        findings += found
    return findings


def _is_local(file: Any) -> bool:
    return '://' not in str(file)


def _check_file(key: str, file: Any) -> Iterator[Finding]:
    """The file is there and can be read."""
    if not isinstance(file, str) or not file:
        yield Finding(key, f'is {file!r}', 'must be a path or an address')
    elif _is_local(file) and not Path(file).exists():
        result = _RESULTS in Path(file).parts
        right = 'train what writes it first' if result else 'give an existing path or an address'
        yield Finding(key, f'{file}: no such file', right, note=result)
    elif _is_local(file):
        try:
            read_container(file)
        except CheckpointError as error:
            yield Finding(key, str(error).rstrip('.'), 'give a file of torch.save or safetensors')


def _check_backbone(key: str, init_cfg: Any, backbone: ReleasedWeightsModule) -> Iterator[Finding]:
    # Copying to a module on the meta device does nothing, after all checks.
    try:
        backbone.load_pretrained(**{k: v for k, v in init_cfg.items() if k != 'type'})
    except CheckpointError as error:
        yield Finding(
            key, str(error).rstrip('.'), 'give a file of this variant, or name what may differ'
        )


def _check_load_from(config: Any, model: nn.Module | None) -> Iterator[Finding]:
    """As `StrictLoadHook` does it when the run starts."""
    file = config.get('load_from')
    if not file:
        return
    found = list(_check_file('load_from', file))
    yield from found
    if found or model is None or not _is_local(file):
        return
    hooks = [h for h in config.get('custom_hooks') or () if 'StrictLoadHook' in str(h['type'])]
    allow = hooks[0].get('allow', ()) if hooks else ()
    runner = SimpleNamespace(model=model, _load_from=file, logger=logging.getLogger(__name__))
    try:
        StrictLoadHook(allow).after_load_checkpoint(runner, read_container(file))
    except CheckpointError as error:
        right = 'give a file of this model, or name what may differ in `allow` of StrictLoadHook'
        yield Finding('load_from', str(error).rstrip('.'), right)

"""Check that local weight files exist, are safe to read, and fit the model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import nn

from mmsmt.backbones.weights import ReleasedWeightsModule
from mmsmt.checkpoints import read_container
from mmsmt.checks.config.findings import Finding
from mmsmt.checks.config.registries import parts_of
from mmsmt.errors import CheckpointError
from mmsmt.hosts.weights import fit_weights

# Output folder of training: a config may start from a result that does not exist yet.
_RESULTS = 'work_dirs'


def check_weights(
    config: Any, model: nn.Module | None, backbone: nn.Module | None
) -> Iterator[Finding]:
    """Check `load_from` and every `Pretrained` in a config; URLs are not downloaded.

    A missing file in a folder `work_dirs` is a note. Model and backbone are those of the config, or
    None if they cannot be built.
    """
    if file := config.get('load_from'):
        hooks = [h for h in config.get('custom_hooks') or () if 'StrictLoadHook' in str(h['type'])]
        allow = hooks[0].get('allow', ()) if hooks else ()
        allow = (allow,) if isinstance(allow, str) else tuple(allow)
        allow += tuple(config.get('load_allow') or ())
        right = 'use a file of this model, or list what may differ in `load_allow`'

        def fit(container: dict[str, Any]) -> None:
            if model is not None:
                fit_weights(model, container, file, allow, option='load_allow')

        yield from _check_file('load_from', file, fit, right)
    if config.model.get('pretrained'):
        yield from _check_file('model.pretrained', config.model.pretrained)
    for key, part, *_ in parts_of(config):
        if not str(part.get('type')).endswith('Pretrained') or 'init_cfg' not in key:
            continue
        options = {name: value for name, value in part.items() if name != 'type'}

        def load(_: Any, key: str = key, options: dict[str, Any] = options) -> None:
            inside = key.startswith('model.backbone.init_cfg')
            if inside and isinstance(backbone, ReleasedWeightsModule):
                # Copying to the meta device does nothing, but only after all checks.
                backbone.load_pretrained(**options)

        right = 'use a file of this variant, or list what may differ'
        yield from _check_file(f'{key}.checkpoint', options.get('checkpoint'), load, right)


def _check_file(
    key: str, file: Any, fit: Callable[[Any], None] = lambda _: None, advice: str = ''
) -> Iterator[Finding]:
    """Check that a file exists, can be read, and fits."""
    if not isinstance(file, str) or not file:
        yield Finding(key, f'is {file!r}', 'must be a path or a URL')
    elif '://' not in file and not Path(file).exists():
        result = _RESULTS in Path(file).parts
        right = (
            'train the config that writes it first' if result else 'use an existing path or a URL'
        )
        yield Finding(key, f'{file}: no such file', right, note=result)
    elif '://' not in file:
        right = 'use a file of torch.save or safetensors'
        try:
            container, right = read_container(file), advice
            fit(container)
        except CheckpointError as error:
            yield Finding(key, str(error).rstrip('.'), right)

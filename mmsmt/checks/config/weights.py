"""Local weight files: there, readable without running anything, and of this model."""

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

# Where trainings write: a config may start from what another one has yet to train.
_RESULTS = 'work_dirs'


def check_weights(
    config: Any, model: nn.Module | None, backbone: nn.Module | None
) -> Iterator[Finding]:
    """Check `load_from` and every `Pretrained` of a config; web addresses are not fetched.

    A missing file below a folder `work_dirs` is a note. Model and backbone are those of the
    config, None where they cannot be built.
    """
    if file := config.get('load_from'):
        hooks = [h for h in config.get('custom_hooks') or () if 'StrictLoadHook' in str(h['type'])]
        allow = hooks[0].get('allow', ()) if hooks else ()
        allow = (allow,) if isinstance(allow, str) else tuple(allow)
        allow += tuple(config.get('load_allow') or ())
        right = 'give a file of this model, or name what may differ in `load_allow`'

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
                # Copying to a module on the meta device does nothing, after all checks.
                backbone.load_pretrained(**options)

        right = 'give a file of this variant, or name what may differ'
        yield from _check_file(f'{key}.checkpoint', options.get('checkpoint'), load, right)


def _check_file(
    key: str, file: Any, fit: Callable[[Any], None] = lambda _: None, advice: str = ''
) -> Iterator[Finding]:
    """The file is there, can be read, and fits."""
    if not isinstance(file, str) or not file:
        yield Finding(key, f'is {file!r}', 'must be a path or an address')
    elif '://' not in file and not Path(file).exists():
        result = _RESULTS in Path(file).parts
        right = 'train what writes it first' if result else 'give an existing path or an address'
        yield Finding(key, f'{file}: no such file', right, note=result)
    elif '://' not in file:
        right = 'give a file of torch.save or safetensors'
        try:
            container, right = read_container(file), advice
            fit(container)
        except CheckpointError as error:
            yield Finding(key, str(error).rstrip('.'), right)

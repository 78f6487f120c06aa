"""Safety check of untrusted configs before anything is built from them.

A config that is only data can still do harm: mmengine imports what a `type` names (even
`os.system`) and calls it with the other fields of the dict, hosts evaluate some strings, and some
of their classes unpickle files or run code from the web. All of this is refused here. What remains
are registered classes of the hosts and of this package, with arguments.
"""

import importlib
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from mmengine.registry import Registry

from mmsmt.errors import ConfigError

SCOPES = ('mmsmt', 'mmengine', 'mmpretrain', 'mmdet', 'mmseg')
_PARTS = {  # modules that register into no child registry
    'mmengine': ('mmengine.runner', 'mmengine.visualization', 'mmcv.cnn', 'mmcv.transforms'),
    'mmsmt': (),
}

# Keys that make mmengine run a file, import a module or load weights.
_FORBIDDEN = {
    '_base_': 'reads another config, which is a program',
    'custom_imports': 'imports modules',
    'trust_remote_code': 'runs code from the web',
    'load_from': 'loads a file',
    'pretrained': 'loads a file',
}
# Keys whose values name classes and functions.
_NAMING = ('type', 'constructor', 'runner_type', 'collate_fn', 'worker_init_fn')
_EVALUATED = ('dtype', 'warp_mode')  # hosts call `eval` on them
# Modules whose classes unpickle files, download them, or run code that comes with them.
_LOADERS = (
    'mmdet.datasets.openimages',
    'mmdet.datasets.transforms.text_transformers',
    'mmdet.models.dense_heads.atss_vlfusion_head',
    'mmdet.models.language_models',
    'mmpretrain.engine.hooks.swav_hook',
    'mmpretrain.models.backbones.timm_backbone',
    'mmpretrain.models.classifiers.hugging_face',
    'mmpretrain.models.classifiers.timm',
    'mmpretrain.models.multimodal',
    'mmpretrain.models.retrievers',
    'mmpretrain.models.utils.huggingface',
    'mmpretrain.models.utils.tokenizer',
    'mmpretrain.models.utils.vector_quantizer',
    'mmseg.models.backbones.timm_backbone',
    'mmseg.models.backbones.vpd',
    'mmseg.models.text_encoder',
    'mmseg.utils',
    'transformers',
)
_LOADER_NAMES = ('PretrainedInit',)
LOCAL_BACKENDS = ('LocalVisBackend', 'TensorboardVisBackend')  # others send data to a server

_ADDRESS = re.compile(r'[A-Za-z][\w+.-]*://')
OUTSIDE = re.compile(r'[/\\].|~\w*[/\\]|[A-Za-z]:[/\\]|(.*[/\\])?\.\.([/\\].*)?$')
_PICKLE = re.compile(r'.*\.(pkl|pickle|pth|pth\.tar|pt|ckpt|bin|npy|npz|joblib|py|so)$', re.I)
_DOTTED = re.compile(r'[^\W\d]\w*(\.[^\W\d]\w*)+')
_DATA_FILE = re.compile(r'.*\.(json|csv|tsv|txt|xml|ya?ml|jpe?g|png|bmp|tiff?|mp4|log)$', re.I)


class Names:
    """The registered classes and functions, by scope."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, list[Any]]] = {}

    def table(self, scope: str) -> dict[str, list[Any]]:
        """Return everything in a scope's registries, by name.

        Raises:
            ConfigError: If the scope's package is not installed.
        """
        if scope not in self._tables:
            try:
                modules = [
                    importlib.import_module(name)
                    for name in (f'{scope}.registry', *_PARTS.get(scope, ()))
                ]
            except ImportError as error:
                raise ConfigError(f'{scope} is needed: {error}') from error
            table: dict[str, list[Any]] = {}
            for registry in vars(modules[0]).values():
                if isinstance(registry, Registry) and registry.scope == scope:
                    if scope != 'mmengine':  # mmengine has no modules to import
                        registry.import_from_location()
                    for name, value in registry.module_dict.items():
                        table.setdefault(name, []).append(value)
            self._tables[scope] = table
        return self._tables[scope]

    def find(self, name: str, scope: str) -> list[Any]:
        """Return what a name can refer to, as mmengine resolves it from a scope; may be empty."""
        prefix, dot, rest = name.partition('.')
        if dot and prefix in SCOPES:
            return self.table(prefix).get(rest, [])
        return self.table(scope).get(name, []) + self.table('mmengine').get(name, [])

    def name_of(self, value: Any, scope: str) -> str | None:
        """Return the registered name of a class or function, or None."""
        for owner in dict.fromkeys((scope, *SCOPES)):
            if owner.partition('.')[0] in SCOPES and find_spec(owner):
                for name, values in self.table(owner).items():
                    if any(value is known for known in values):
                        return f'{owner}.{name}'
        return None


class Place(NamedTuple):
    """Position of a value in a config."""

    path: str = ''  # as in Python, `model.backbone.arch`
    key: str = ''  # the nearest key above
    scope: str = 'mmengine'  # scope of names without a prefix


def walk(part: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """Yield every dict and leaf of a config, with its position."""
    if isinstance(part, Mapping):
        yield place, part
        own = part.get('_scope_')
        scope = own if isinstance(own, str) and own in SCOPES else place.scope
        for name, value in part.items():
            path = f'{place.path}.{name}' if place.path else str(name)
            yield from walk(value, Place(path, str(name), scope))
    elif isinstance(part, list | tuple | set):
        for index, value in enumerate(part):
            yield from walk(value, place._replace(path=f'{place.path}[{index}]'))
    else:
        yield place, part


def find_fault(place: Place, value: Any, names: Names) -> str:
    """Return why an untrusted config must not contain a value; empty if it may.

    Args:
        place: Position of the value.
        value: A dict, whose items are checked separately, or a leaf.
        names: The registered names.
    """
    key = place.key
    if key in _FORBIDDEN:
        return _FORBIDDEN[key] if value else ''
    if isinstance(value, Mapping):
        return ''
    if not isinstance(value, str):
        return '' if value is None or isinstance(value, bool | int | float) else 'not a plain value'
    if key in ('default_scope', '_scope_'):
        return '' if value in SCOPES else f'imports {value}.registry; known: {", ".join(SCOPES)}'
    if _ADDRESS.match(value):
        return 'a URL'
    if OUTSIDE.match(value):
        return 'a path outside the current folder'
    if '{{' in value:
        return 'mmengine would substitute a variable'
    if _PICKLE.fullmatch(value):
        return 'a file that could run code'
    if key in _EVALUATED and not value.replace('.', '').isidentifier():
        return 'evaluated as Python'
    return _fault_of_name(place, value, names)


def _fault_of_name(place: Place, value: str, names: Names) -> str:
    naming, dotted = place.key in _NAMING, _DOTTED.fullmatch(value)
    if not (naming or dotted):
        return ''
    found = names.find(value, place.scope)
    if any(_loads(item) for item in found):
        return 'it can load or download files'
    if found:
        return ''
    if dotted:
        if not naming and (_DATA_FILE.fullmatch(value) or not _importable(value)):
            return ''
        return 'not registered, it would be imported'
    if not value.isidentifier():
        return 'not the name of a class'
    return 'not registered, it would be imported' if _importable(value) else ''


def _importable(name: str) -> bool:
    top = name.partition('.')[0]
    try:
        return find_spec(top) is not None
    except ValueError:  # from modules without a spec, such as `__main__`
        return True


def _loads(item: Any) -> bool:
    module = f'{getattr(item, "__module__", "")}.'
    name = getattr(item, '__name__', '')
    if name in _LOADER_NAMES or any(module.startswith(f'{known}.') for known in _LOADERS):
        return True
    return module == 'mmengine.visualization.vis_backend.' and name not in LOCAL_BACKENDS


def require_harmless(cfg: Mapping[str, Any], source: str) -> None:
    """Raise if a config could run code, load files or access the network.

    Args:
        cfg: The config as plain data.
        source: Origin of the config, for messages.

    Raises:
        ConfigError: With the first forbidden key, and why it is forbidden.
    """
    names = Names()
    for place, value in walk(cfg, top(cfg)):
        if fault := find_fault(place, value, names):
            shown = repr(value) if isinstance(value, str) else type(value).__name__
            raise ConfigError(f'{source}: {place.path}: {shown[:80]} is refused: {fault}')


def top(cfg: Mapping[str, Any]) -> Place:
    """Return the position of a whole config."""
    scope = cfg.get('default_scope')
    return Place(scope=scope if isinstance(scope, str) and scope in SCOPES else 'mmengine')

"""mmsmt: the backbones SMT, SG-Former and unified models for mmpretrain, mmdet and mmseg.

Kept minimal on purpose: mmengine swallows import errors of a child registry's package, and then
only reports that the type is not registered.
"""

import importlib
import importlib.metadata
import warnings
from typing import Any

# From mmengine's import of setuptools; users cannot do anything about it.
warnings.filterwarnings('ignore', 'pkg_resources is deprecated')

try:
    from mmengine.config.utils import MODULE2PACKAGE
except ModuleNotFoundError as error:
    if error.name != 'mmengine':
        raise
    raise ImportError(
        "mmsmt needs mmengine, which is not installed: pip install 'mmsmt[openmmlab]', or "
        "'mmsmt[onedl]' for the continuation of the OpenMMLab libraries"
    ) from error

__version__ = '0.1.0'

# Lets `_base_ = 'mmsmt::...'` and `get_config('mmsmt::...')` find the configs. mmengine looks up
# the file of a module, but expects distributions in site-packages, unlike editable installs.
MODULE2PACKAGE.setdefault('mmsmt', 'mmsmt.registry')

# The continuation's mmengine still looks up `mmseg::` as the distribution of the original.
try:
    importlib.metadata.version('mmsegmentation')
except importlib.metadata.PackageNotFoundError:
    MODULE2PACKAGE['mmseg'] = 'mmseg'

# Public names and their modules.
_LAZY = {
    'from_pretrained': 'mmsmt.apis.hub',
    'get_config': 'mmsmt.apis.names',
    'get_model': 'mmsmt.apis.names',
    'list_models': 'mmsmt.apis.names',
    'save_pretrained': 'mmsmt.apis.hub',
}


def __getattr__(name: str) -> Any:
    """Import models by name and from folders at their first use."""
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])

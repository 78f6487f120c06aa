"""mmsmt: one backbone layer (SMT and its relatives) for mmpretrain, mmdet and mmseg.

Kept trivial on purpose: mmengine swallows an import error of a child registry's package
and then only says that the type is not registered.
"""

import importlib
import importlib.metadata
import warnings
from typing import Any

# Of mmengine's import of setuptools, which whoever trains can do nothing about.
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

# Lets `_base_ = 'mmsmt::...'` and `get_config('mmsmt::...')` find the configs. Of a module
# mmengine asks where its file is; of a distribution it expects site-packages, where an editable
# install is not.
MODULE2PACKAGE.setdefault('mmsmt', 'mmsmt.registry')

# The continuation's mmengine still looks for `mmseg::` under the distribution of the original.
try:
    importlib.metadata.version('mmsegmentation')
except importlib.metadata.PackageNotFoundError:
    MODULE2PACKAGE['mmseg'] = 'mmseg'

# Of which module they are.
_LAZY = {
    'from_pretrained': 'mmsmt.apis.hub',
    'get_config': 'mmsmt.apis.names',
    'get_model': 'mmsmt.apis.names',
    'list_models': 'mmsmt.apis.names',
    'save_pretrained': 'mmsmt.apis.hub',
}


def __getattr__(name: str) -> Any:
    """Models by name and from folders, imported at the first use."""
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])

"""mmsmt: one backbone layer (SMT and its relatives) for mmpretrain, mmdet and mmseg.

Kept trivial on purpose: mmengine swallows an import error of a child registry's package
and then only says that the type is not registered.
"""

import warnings

# Of mmengine's import of setuptools, which whoever trains can do nothing about.
warnings.filterwarnings('ignore', 'pkg_resources is deprecated')

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402

__version__ = '0.1.0'

# Lets `_base_ = 'mmsmt::...'` and `get_config('mmsmt::...')` find the configs. Of a module
# mmengine asks where its file is; of a distribution it expects site-packages, where an editable
# install is not.
MODULE2PACKAGE.setdefault('mmsmt', 'mmsmt.registry')

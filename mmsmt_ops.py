"""Import hook for `mmcv._ext`: uses operators on torch and torchvision if mmcv has none.

`mmsmt_ops.pth`, installed next to this module, imports it whenever Python starts, so that the
hosts' own tools and notebooks find the operators too. Standard library only, because every Python
process of the environment imports it.

The environment variable `MMSMT_OPS` chooses: `auto` (default) uses compiled operators if mmcv has
any, `torch` uses ours, `compiled` uses compiled ones or fails like mmcv itself.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, spec_from_file_location

NAME = 'mmcv._ext'
CHOICES = ('auto', 'torch', 'compiled')


class OperatorFinder:
    """Finder for `mmcv._ext` only."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """Return the compiled module, ours, or None to leave it to Python.

        Raises:
            ImportError: If `MMSMT_OPS` has an unknown value.
        """
        if name != NAME:
            return None
        choice = os.environ.get('MMSMT_OPS') or 'auto'
        if choice not in CHOICES:
            raise ImportError(f'MMSMT_OPS is {choice!r}; known: {", ".join(CHOICES)}')
        compiled = PathFinder.find_spec(name, path, None) if choice != 'torch' else None
        if compiled or choice == 'compiled':
            return compiled
        ours = find_spec('mmsmt.ops.extension')
        return ours and spec_from_file_location(name, ours.origin)


if OperatorFinder not in sys.meta_path:
    sys.meta_path.insert(0, OperatorFinder)

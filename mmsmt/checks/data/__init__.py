"""Checks of the data of a config before training.

Paths, suffixes and class names come from the hosts' own data set objects, built without reading
anything; files are read here. Imports no host library itself.
"""

from mmsmt.checks.data.check import check_data, explain_loader
from mmsmt.checks.data.datasets import find_places
from mmsmt.checks.data.findings import Finding
from mmsmt.checks.data.images import Opener

__all__ = ['Finding', 'Opener', 'check_data', 'explain_loader', 'find_places']

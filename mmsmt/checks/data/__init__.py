"""Checks of the data that a config names, before a training starts.

Paths, suffixes and names of classes come from the hosts' own data set objects, built without
reading anything; files are read here. Imports no host library itself.
"""

from mmsmt.checks.data.check import check_data, explain_loader
from mmsmt.checks.data.datasets import find_places
from mmsmt.checks.data.findings import Finding
from mmsmt.checks.data.images import Opener

__all__ = ['Finding', 'Opener', 'check_data', 'explain_loader', 'find_places']

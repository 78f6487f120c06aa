"""Checks of the data that a config names, before a training starts.

Paths, suffixes and names of classes come from the hosts' own data set objects, built without
reading anything; files are read here. Imports no host library itself.
"""

from mmsmt.datasets.checking.check import check_data
from mmsmt.datasets.checking.findings import Finding
from mmsmt.datasets.checking.pictures import Opener

__all__ = ['Finding', 'Opener', 'check_data']

"""Projects from a data folder: detection of the format, methods, and the config to write."""

from mmsmt.projects.new import new_project

__all__ = ['new_project']

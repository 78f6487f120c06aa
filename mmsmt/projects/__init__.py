"""A project from a folder of data: its format, a method, and the config that joins them."""

from mmsmt.projects.new import new_project

__all__ = ['new_project']

"""Backbones for inference: equal outputs, exact parts folded into weights."""

from mmsmt.deploy.convert import deploy

__all__ = ['deploy']

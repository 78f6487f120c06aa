"""Inference-time forms of backbones: equal outputs, fewer and larger steps."""

from mmsmt.deploy.convert import deploy

__all__ = ['deploy']

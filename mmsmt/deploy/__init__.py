"""Backbones for inference: equal outputs, exact parts folded into weights."""

from mmsmt.deploy.convert import deploy
from mmsmt.deploy.detections.paste import paste_masks

__all__ = ['deploy', 'paste_masks']

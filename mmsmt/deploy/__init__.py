"""Deployment: folding for inference, export, and sessions in other runtimes."""

from mmsmt.deploy.convert import deploy
from mmsmt.deploy.detections.paste import paste_masks

__all__ = ['deploy', 'paste_masks']

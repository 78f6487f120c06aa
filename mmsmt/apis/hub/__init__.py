"""Models in folders, and on a model hub.

A folder holds `model.safetensors`, `config.py`, `metadata.json` and `README.md`. Nothing in it is
executed: `config.py` is read as data, and anything in it that could run code is refused.
"""

from mmsmt.apis.hub.folder import ModelFolder, read_folder
from mmsmt.apis.hub.pretrained import from_pretrained, save_pretrained
from mmsmt.apis.hub.remote import pull, push

__all__ = ['ModelFolder', 'from_pretrained', 'pull', 'push', 'read_folder', 'save_pretrained']

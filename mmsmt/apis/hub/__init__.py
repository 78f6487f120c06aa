"""Models in folders, and such folders on a model hub.

A folder holds `model.safetensors`, `config.py`, `metadata.json` and `README.md`. Nothing in it is
run: `config.py` is read as data, and what could run code from there is refused.
"""

from mmsmt.apis.hub.folder import ModelFolder, read_folder
from mmsmt.apis.hub.pretrained import from_pretrained, save_pretrained
from mmsmt.apis.hub.remote import pull, push

__all__ = ['ModelFolder', 'from_pretrained', 'pull', 'push', 'read_folder', 'save_pretrained']

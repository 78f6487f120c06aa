"""Data root: the folder that replaces the leading `data/` in configs."""

import os
from pathlib import Path

VARIABLE = 'MMSMT_DATA'
DEFAULT = 'data'


def data_root(option: str | None = None) -> Path:
    """Return the command line option, else the environment's MMSMT_DATA, else `data`."""
    return Path(option or os.environ.get(VARIABLE) or DEFAULT).expanduser()

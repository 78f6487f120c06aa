"""Data root: the folder that stands for the `data/` of every config."""

import os
from pathlib import Path

VARIABLE = 'MMSMT_DATA'
DEFAULT = 'data'


def data_root(option: str | None = None) -> Path:
    """The command line's option, else the environment's MMSMT_DATA, else `data` in this folder."""
    return Path(option or os.environ.get(VARIABLE) or DEFAULT).expanduser()

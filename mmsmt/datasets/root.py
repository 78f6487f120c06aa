"""Where data lies: one folder that stands for the `data/` of every config."""

import os
from pathlib import Path

VARIABLE = 'MMSMT_DATA'
DEFAULT = 'data'


def data_root(option: str | None = None) -> Path:
    """Decide where data lies.

    Args:
        option: What the command line says; None or empty where it says nothing.

    Returns:
        The option, else the environment variable MMSMT_DATA, else `data` in the current folder.
    """
    return Path(option or os.environ.get(VARIABLE) or DEFAULT).expanduser()

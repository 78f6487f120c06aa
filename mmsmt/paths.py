"""Paths of the configs and tools that are installed with the package."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def carried(name: str) -> Path:
    """Return the folder `configs` or `tools` of an installed package, else of the checkout.

    In an installed package they are under `.mim`, where OpenMMLab's tools expect them.
    """
    installed = PACKAGE / '.mim' / name
    return (installed if installed.exists() else PACKAGE.parent / name).resolve()


def nearby(path: Path) -> Path:
    """Return a path relative to the current folder if it is inside it."""
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path

"""Folders that travel with the package: its configs and tools."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def carried(name: str) -> Path:
    """The folder `configs` or `tools` of an installed package, else of the checkout.

    OpenMMLab's tools expect them under `.mim` of an installed package.
    """
    installed = PACKAGE / '.mim' / name
    return (installed if installed.exists() else PACKAGE.parent / name).resolve()


def nearby(path: Path) -> Path:
    """A path relative to the current folder, if it lies below it."""
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path

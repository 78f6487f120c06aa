"""Search for classes of a host that are not registered because a package is missing."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def find_unregistered(name: str, package: str) -> str | None:
    """Find the module of an installed package that defines a class, without importing it.

    Args:
        name: Name of the class.
        package: Name of the package, such as mmpretrain.

    Returns:
        The module's dotted name, or None.
    """
    return _classes_of(package).get(name)


@cache
def _classes_of(package: str) -> dict[str, str]:
    """Return the module of every class at the top level of a package's modules."""
    spec = find_spec(package)
    found: dict[str, str] = {}
    for folder in spec.submodule_search_locations or () if spec else ():
        for file in sorted(Path(folder).rglob('*.py')):
            inside = file.relative_to(folder).with_suffix('').parts
            if '.mim' not in inside:
                module = '.'.join((package, *inside))
                text = file.read_text(encoding='utf-8')
                found = dict.fromkeys(re.findall(r'^class (\w+)', text, re.M), module) | found
    return found

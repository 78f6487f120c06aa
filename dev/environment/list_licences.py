"""Write docs/notes/licences.md: the licence of every locked package.

    .venv/bin/python dev/environment/list_licences.py

Licences come from the metadata of the installed packages. If one is not recognised, this ends with
an error, because somebody has to read the licence.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import doctor
from setup_env import lock_file

# First match counts: family of a licence, and its names.
FAMILIES = (
    ('proprietary, free of charge', r'NVIDIA|Proprietary'),
    ('file-wise copyleft', r'MPL|Mozilla|LGPL'),
    ('copyleft', r'GPL'),
    ('permissive', r'MIT|BSD|Apache|ISC|Zlib|Unlicense|Python|PSF|HPND|CNRI'),
)
# Packages without a licence in their metadata.
READ_BY_HAND = {'cuda-toolkit': 'none of its own: it only names packages of NVIDIA'}
HEAD = """# Licences

mmsmt is under [Apache-2.0](../../LICENSE). It contains none of the packages below, which
`make setup` installs on Linux x86-64 with Python 3.11. Each licence is what the package's own
metadata says; `dev/environment/list_licences.py` writes this page.

| package | version | licence | family |
|---|---|---|---|
"""


def locked() -> dict[str, str]:
    """Return name and version of all locked packages."""
    return dict(re.findall(r'^([\w.-]+)==(\S+)', lock_file().read_text(), re.MULTILINE))


def licence(package: Distribution) -> str:
    """Return a package's licence: its SPDX expression, else its classifiers, else its text."""
    facts = package.metadata
    if facts['License-Expression']:
        return facts['License-Expression']
    said = [
        line.rpartition('::')[2].strip()
        for line in facts.get_all('Classifier', [])
        if line.startswith('License ::') and line.count('::') > 1
    ]
    if not said and facts['License']:
        said = [facts['License'].strip().splitlines()[0]]
    return ', '.join(said) or READ_BY_HAND.get(package.name, '')


def family(words: str) -> str | None:
    """Return the family of a licence, or None if it is unknown."""
    return next((name for name, pattern in FAMILIES if re.search(pattern, words)), None)


def rows() -> list[str]:
    """Return a table row for each package, or exit with an error."""
    made = []
    for name, version in sorted(locked().items(), key=lambda pair: pair[0].lower()):
        try:
            package = distribution(name)
        except PackageNotFoundError:
            sys.exit(f'error: {name} is not installed here: make setup')
        if package.version != version:
            sys.exit(f'error: {name} is {package.version} here, {version} in the lock: make setup')
        words = licence(package)
        kind = family(words)
        if kind is None:
            sys.exit(f'error: {name} {version} is under {words or "no licence"!r}: read it')
        made.append(f'| {name} | {version} | {words} | {kind} |')
    return made


def main() -> None:
    """Write the page."""
    page = doctor.ROOT / 'docs' / 'notes' / 'licences.md'
    Path(page).write_text(HEAD + '\n'.join(rows()) + '\n')
    print(page.relative_to(doctor.ROOT))


if __name__ == '__main__':
    main()

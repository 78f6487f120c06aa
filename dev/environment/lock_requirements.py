"""Write the lock: the files that `make setup` installs on this Python and platform, with hashes.

    .venv/bin/python dev/environment/lock_requirements.py [--keep]

pip resolves the pins of requirements/ and reports the file that it would install for each package;
nothing is installed. --keep holds unpinned packages at the versions in this environment, with which
the tests ran. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

import doctor
from setup_env import INSTALLED, lock_file, requirements


def name(words: str) -> str:
    """Return the normalised name of a package."""
    return re.sub(r'[-_.]+', '-', words).lower()


def pinned() -> set[str]:
    """Return the names pinned in requirements/, and mmsmt, which is not on the index."""
    texts = [Path(requirements(file)).read_text() for file in (*INSTALLED, 'constraints')]
    found = re.findall(r'^([\w.-]+)==', '\n'.join(texts), re.MULTILINE)
    return {'mmsmt', *map(name, found)}


def resolve(keep: bool) -> list[dict]:
    """Return the entries of pip's report: what it would install."""
    with tempfile.TemporaryDirectory() as folder:
        report, versions = Path(folder, 'report.json'), Path(folder, 'versions.txt')
        held = [f'{d.name}=={d.version}\n' for d in distributions() if name(d.name) not in pinned()]
        versions.write_text(''.join(held) if keep else '')
        command = [sys.executable, '-m', 'pip', 'install', '--dry-run', '--ignore-installed']
        command += ['--disable-pip-version-check', '--quiet', '--report', str(report)]
        # Only wheels, so that nothing is built; only their metadata, not gigabytes of files.
        command += ['--only-binary', ':all:', '--use-feature', 'fast-deps']
        command += ['-c', str(versions), '-c', requirements('constraints')]
        for file in INSTALLED:
            command += ['-r', requirements(file)]
        if subprocess.run(command).returncode:
            sys.exit('error: pip found no set of packages that fits, see above')
        return json.loads(report.read_text())['install']


def write(entries: list[dict], path: Path) -> None:
    """Write one package per block, sorted by name, with the hash of its file."""
    lines = ['# For `make setup`; dev/environment/lock_requirements.py wrote it from the pins.']
    for entry in sorted(entries, key=lambda entry: entry['metadata']['name'].lower()):
        facts, hashes = entry['metadata'], entry['download_info']['archive_info']['hashes']
        lines += [f'{facts["name"]}=={facts["version"]} \\']
        lines += [f'    --hash=sha256:{hashes["sha256"]}']
    path.parent.mkdir(exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


def main() -> None:
    """Resolve and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--keep', action='store_true', help='keep the versions installed here')
    path = lock_file()
    write(resolve(parser.parse_args().keep), path)
    print(path.relative_to(doctor.ROOT))


if __name__ == '__main__':
    main()

"""Find out what is wrong with a Python environment, and print the commands that fix it.

    python dev/environment/doctor.py [--python PATH]

Every probe (doctor_probes.py) runs in its own process, with the examined interpreter, so that a
crash of one does not hide the others. Exit code 0: healthy, 1: not. Standard library only; the
versions in the fixes come from requirements/.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import doctor_probes
from doctor_probes import IMPORTS, REMARK_CODE

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120

# Debian packages of shared libraries that OpenCV needs and slim images lack.
SYSTEM_PACKAGES = {
    'libGL.so.1': 'libgl1',
    'libgthread-2.0.so.0': 'libglib2.0-0',
    'libglib-2.0.so.0': 'libglib2.0-0',
    'libSM.so.6': 'libsm6',
    'libXext.so.6': 'libxext6',
    'libXrender.so.1': 'libxrender1',
    'libX11.so.6': 'libx11-6',
    'libxcb.so.1': 'libxcb1',
    'libgomp.so.1': 'libgomp1',
}
# Distribution names that differ from import names; the second is that of the continuation.
DISTRIBUTIONS = {
    'cv2': ('opencv-python', 'opencv-python'),
    'PIL': ('pillow', 'pillow'),
    'pkg_resources': ('setuptools', 'setuptools<81'),
    'sklearn': ('scikit-learn', 'scikit-learn'),
    'yaml': ('pyyaml', 'pyyaml'),
    'mmcv': ('mmcv-lite', 'onedl-mmcv'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
    'mmengine': ('mmengine', 'onedl-mmengine'),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
    'mmseg': ('mmsegmentation', 'onedl-mmsegmentation'),
}
NEEDED = {
    'python': '>= 3.10',
    'torch': '>= 2.6',
    'torchvision': 'fits torch',
    'opencv': 'imports',
    'mmengine': 'imports',
    'mmcv': 'imports',
    'operators': 'compiled or ours',
    'mmdet': 'fits mmcv',
    'mmseg': 'fits mmcv',
    'mmpretrain': 'fits mmcv',
    'mmsmt': 'imports',
    'smt': 'mmsmt.SMT builds',
}
# Probe that must pass first, if both fail.
AFTER = {
    'torchvision': ('torch',),
    'mmengine': ('torch', 'opencv'),
    'mmcv': ('torch', 'opencv', 'mmengine'),
    'operators': ('torchvision', 'mmcv', 'mmsmt'),
    'mmdet': ('operators', 'torchvision'),
    'mmseg': ('operators',),
    'mmpretrain': ('operators',),
    'mmsmt': ('mmengine',),
    'smt': ('torchvision', 'mmsmt'),
}


class Result(NamedTuple):
    """Result of a probe: `status` is 'ok', 'note' or 'FAIL'."""

    status: str
    found: str


def ask(python: str, name: str) -> Result:
    """Run one probe with `python`; any failure becomes a result."""
    command = [python, doctor_probes.__file__, name]
    try:
        said = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=os.sep,  # not a folder with modules that could be imported by mistake
        )
    except OSError as error:
        return Result('FAIL', f'{python} does not start: {error.strerror}')
    except subprocess.TimeoutExpired:
        return Result('FAIL', f'no answer within {TIMEOUT_S} s')
    if said.returncode in (0, REMARK_CODE):
        last = (said.stdout.strip().splitlines() or [''])[-1]
        return Result('note' if said.returncode else 'ok', last)
    if said.returncode < 0:
        return Result('FAIL', f'crashed with signal {-said.returncode}')
    reason = (said.stderr.strip().splitlines() or ['no message'])[-1]
    return Result('FAIL', re.sub(r'^(__main__\.)?Unfit: ', '', reason))


def examine(python: str, names: list[str]) -> dict[str, Result]:
    """Run the named probes in parallel and return their results.

    An interpreter that does not start is reported once, not for each probe.
    """
    python = os.path.abspath(python) if os.sep in python else python
    first = ask(python, 'python')
    if first.status == 'FAIL' and 'does not start' in first.found:
        return {'python': first}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip(names, pool.map(lambda name: ask(python, name), names)))


def pins() -> dict[str, str]:
    """Return the exact versions in requirements/ by distribution name, except conditional ones."""
    lines = '\n'.join(path.read_text() for path in sorted((ROOT / 'requirements').glob('*.txt')))
    return dict(re.findall(r'^([\w.-]+)==([\w.]+) *(?:#.*|--hash.*)?$', lines, re.MULTILINE))


def install(python: str, *names: str) -> str:
    """Return the command that installs the pinned `names`."""
    known = pins()
    wanted = ' '.join(shlex.quote(f'{n}=={known[n]}' if n in known else n) for n in names)
    return f'{shlex.quote(python)} -m pip install {wanted}'


def system_install(*packages: str) -> str:
    sudo = '' if os.geteuid() == 0 else 'sudo '
    names = ' '.join(packages)
    return f'{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {names}'


def fix(name: str, results: dict[str, Result], python: str) -> str:
    """Return the command that fixes a failed probe, or the name of what to fix before it."""
    found = results[name].found
    continued = any('onedl-' in result.found for result in results.values())
    library = re.search(r'(lib[\w.+-]+\.so[.\d]*): cannot open shared object', found)
    if library and library.group(1) in SYSTEM_PACKAGES:
        return system_install(SYSTEM_PACKAGES[library.group(1)])
    missing = re.search(r"No module named '(\w+)", found)
    module = missing.group(1) if missing else IMPORTS.get(name, (name,))[0]
    probe = 'opencv' if module == 'cv2' else module
    if missing and probe != name and probe in results:
        return f'{probe} first'
    if 'MMCV==' in found:  # refused by mmdet, mmseg or mmpretrain
        module = 'mmcv'
    first = next((n for n in AFTER.get(name, ()) if results[n].status == 'FAIL'), None)
    if first and not missing:
        return f'{first} first'
    if 'compiled ones do not load' in found:
        python = shlex.quote(python)
        return f'{python} -m pip uninstall -y mmcv && {install(python, "mmcv-lite")}'
    if module in ('mmsmt', 'smt', 'operators'):
        return f'{shlex.quote(python)} -m pip install --no-deps -e {shlex.quote(str(ROOT))}'
    if module in ('torch', 'torchvision'):
        return install(python, 'torch', 'torchvision')
    if module == 'python':
        return 'make clean setup PYTHON=python3.11'
    return install(python, DISTRIBUTIONS.get(module, (module, module))[continued])


def report(python: str) -> int:
    """Print the table for `python` and return the exit code."""
    results = examine(python, list(NEEDED))
    if list(results) == ['python'] and results['python'].status == 'FAIL':
        print(f'FAIL  {results["python"].found}\n      fix: make setup')
        return 1
    names, needs = (max(map(len, column)) for column in (NEEDED, NEEDED.values()))
    print(f'{"":4}  {"what":{names}}  {"needed":{needs}}  found')
    for name, needed in NEEDED.items():
        status, found = results[name]
        print(f'{status:4}  {name:{names}}  {needed:{needs}}  {found}')
        if status == 'FAIL':
            print(f'{"":4}  {"":{names}}  fix: {fix(name, results, python)}')
    bad = [name for name in NEEDED if results[name].status == 'FAIL']
    print(f'to fix: {", ".join(bad)}' if bad else f'healthy: {python}')
    return int(bool(bad))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--python', default=sys.executable, help='interpreter to examine')
    return report(parser.parse_args().python)


if __name__ == '__main__':
    sys.exit(main())

"""Say what is wrong with a Python environment and which command fixes it.

    python dev/environment/doctor.py [--python PATH]

Every probe (doctor_probes.py) is a process of its own, run by the examined interpreter, so that one
that fails or crashes hides no other. Exit code 0: healthy, 1: not. Standard library only, and the
versions in the fixes come from requirements/.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import doctor_probes

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120

# Distribution names that differ from what is imported.
DISTRIBUTIONS = {
    'PIL': 'pillow',
    'mmseg': 'mmsegmentation',
    'sklearn': 'scikit-learn',
    'yaml': 'pyyaml',
}
# Debian packages of the shared libraries that OpenCV wants and slim images lack.
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


class Result(NamedTuple):
    """What a probe said: `status` is 'ok', 'note' or 'FAIL'."""

    status: str
    found: str


def pins() -> dict[str, str]:
    """Exact versions in requirements/, by distribution name; without those for one Python only."""
    lines = '\n'.join(path.read_text() for path in sorted((ROOT / 'requirements').glob('*.txt')))
    return dict(re.findall(r'^([\w.-]+)==([\w.]+) *(?:#.*|--hash.*)?$', lines, re.MULTILINE))


def install(*names: str) -> Callable[[str], str]:
    """A function from an interpreter's path to the command that installs the pinned `names`."""
    known = pins()
    wanted = ' '.join(f'{name}=={known[name]}' if name in known else name for name in names)
    return lambda python: f'{shlex.quote(python)} -m pip install {wanted}'


def install_mmcv(python: str) -> str:
    if Path(python).absolute().parent == ROOT / '.venv' / 'bin':
        return 'make setup'  # takes the wheel if this machine has compiled it before
    with_gpu = bool(doctor_probes.cuda_release() and doctor_probes.gpus())
    build = f'MMCV_WITH_OPS=1 FORCE_CUDA={with_gpu:d} {install("mmcv")(python)}'
    build += ' --no-build-isolation --no-cache-dir --no-deps --force-reinstall'
    if doctor_probes.compiler() is None:
        return f'{system_install("g++", "python3-dev")} && {build}'
    return build


def install_mmsmt(python: str) -> str:
    return f'{install("--no-deps --no-build-isolation -e")(python)} {shlex.quote(str(ROOT))}'


def system_install(*packages: str) -> str:
    sudo = '' if os.geteuid() == 0 else 'sudo '
    names = ' '.join(packages)
    return f'{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {names}'


class Probe(NamedTuple):
    """One line of the table; `after` names what must be fixed first if both fail."""

    name: str
    needed: str
    fix: Callable[[str], str]
    after: tuple = ()


def probes() -> list[Probe]:
    compile_tools = system_install('g++', 'python3-dev')
    pair = install('torch', 'torchvision')
    return [
        Probe('python', '>= 3.10', lambda _: 'make clean setup PYTHON=python3.11'),
        Probe('compiler', 'C++17, to compile mmcv', lambda _: compile_tools),
        Probe('cuda', 'optional', lambda _: ''),
        Probe('setuptools', '< 81', install('setuptools')),
        Probe('torch', '>= 2.6', pair),
        Probe('torchvision', 'fits torch', pair, ('torch',)),
        Probe('opencv', 'imports', install('opencv-python')),
        Probe('mmengine', 'imports', install('mmengine'), ('setuptools', 'torch', 'opencv')),
        Probe('mmcv', '>= 2.0.0rc4, < 2.2.0', install_mmcv, ('torch', 'opencv', 'mmengine')),
        Probe('mmdet', 'fits mmcv', install('mmdet'), ('mmcv', 'torchvision')),
        Probe('mmseg', 'fits mmcv', install('mmsegmentation', 'ftfy', 'regex'), ('mmcv',)),
        Probe('mmpretrain', 'fits mmcv', install('mmpretrain', 'ftfy', 'regex'), ('mmcv',)),
        Probe('mmsmt', 'imports', install_mmsmt, ('mmengine',)),
        Probe('smt', 'mmsmt.SMT builds', install_mmsmt, ('torchvision', 'mmsmt')),
    ]


def ask(python: str, name: str) -> Result:
    """Run one probe by `python`; whatever happens there becomes a line."""
    command = [python, doctor_probes.__file__, name]
    try:
        said = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=os.sep,  # not a folder whose modules could be taken for installed ones
        )
    except OSError as error:
        return Result('FAIL', f'{python} does not start: {error.strerror}')
    except subprocess.TimeoutExpired:
        return Result('FAIL', f'no answer within {TIMEOUT_S} s')
    if said.returncode in (0, doctor_probes.REMARK_CODE):
        last = (said.stdout.strip().splitlines() or [''])[-1]
        return Result('note' if said.returncode else 'ok', last)
    if said.returncode < 0:
        return Result('FAIL', f'crashed with signal {-said.returncode}')
    reason = (said.stderr.strip().splitlines() or ['no message'])[-1]
    return Result('FAIL', re.sub(r'^(__main__\.)?Unfit: ', '', reason))


def examine(python: str, names: list[str]) -> dict[str, Result]:
    """Results of the named probes, asked side by side.

    An interpreter that does not start is one finding, not one for each probe.
    """
    python = os.path.abspath(python) if os.sep in python else python
    first = ask(python, 'python')
    if first.status == 'FAIL' and 'does not start' in first.found:
        return {'python': first}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip(names, pool.map(lambda name: ask(python, name), names)))


def mend(probe: Probe, results: dict[str, Result], python: str) -> str:
    """The command that fixes a failed probe, or the name of what to fix before it."""
    found = results[probe.name].found
    library = re.search(r'(lib[\w.+-]+\.so[.\d]*): cannot open shared object', found)
    if library and library.group(1) in SYSTEM_PACKAGES:
        return system_install(SYSTEM_PACKAGES[library.group(1)])
    missing = re.search(r"No module named '(\w+)", found)
    if missing:
        module = missing.group(1)
        name = {'cv2': 'opencv', 'pkg_resources': 'setuptools'}.get(module, module)
        if name == probe.name:
            return probe.fix(python)
        if name in results:
            return f'{name} first'
        return install(DISTRIBUTIONS.get(module, module))(python)
    first = next((name for name in probe.after if results[name].status == 'FAIL'), None)
    return f'{first} first' if first else probe.fix(python)


def report(python: str) -> int:
    """Print the table for `python` and return the exit code."""
    table = probes()
    results = examine(python, [probe.name for probe in table])
    if list(results) == ['python'] and results['python'].status == 'FAIL':
        print(f'FAIL  {results["python"].found}\n      mend: make setup')
        return 1
    names = max(len(probe.name) for probe in table)
    needs = max(len(probe.needed) for probe in table)
    print(f'{"":4}  {"what":{names}}  {"needed":{needs}}  found')
    for probe in table:
        status, found = results[probe.name]
        print(f'{status:4}  {probe.name:{names}}  {probe.needed:{needs}}  {found}')
        if status == 'FAIL':
            print(f'{"":4}  {"":{names}}  mend: {mend(probe, results, python)}')
    bad = [probe.name for probe in table if results[probe.name].status == 'FAIL']
    print(f'to mend: {", ".join(bad)}' if bad else f'healthy: {python}')
    return int(bool(bad))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--python', default=sys.executable, help='interpreter to examine')
    return report(parser.parse_args().python)


if __name__ == '__main__':
    sys.exit(main())

"""Wheelhouse: mmcv compiled with its operators, once per machine and set of versions.

pip's own cache silently returns wheels compiled against another torch. Here the folder's name holds
everything that a compiled wheel depends on, and wheels without operators are ignored. Standard
library only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import doctor
from setup_run import Problem, cache_folder, locked, run

BYTES_PER_JOB = 2 * 1024**3  # the largest files of mmcv need about that much

DESCRIBE = """
import json, sys, sysconfig, torch
from torch.utils import cpp_extension
gpu = torch.cuda.is_available()
print(json.dumps({
    'torch': torch.__version__,
    'cuda': torch.version.cuda,
    'toolkit': cpp_extension.CUDA_HOME,
    'gpu': gpu and '%d%d' % torch.cuda.get_device_capability(),
    'python': 'cp%d%d' % sys.version_info[:2],
    'platform': sysconfig.get_platform().replace('-', '_'),
    'header': sysconfig.get_path('include') + '/Python.h',
}))
"""


class Target(NamedTuple):
    """What a wheel is compiled for; `key` names its folder."""

    key: str
    with_cuda: bool
    header: Path


def target(python: str) -> Target:
    """Return what mmcv must fit: with CUDA operators if there are a GPU and a toolkit.

    torch does not compile with a toolkit of another major release than its own.
    """
    said = subprocess.run([python, '-c', DESCRIBE], capture_output=True, text=True)
    if said.returncode:
        reason = said.stderr.strip().splitlines()[-1]
        raise Problem(f'torch does not import ({reason}): run make clean setup')
    facts = json.loads(said.stdout)
    with_cuda = bool(facts['gpu'] and facts['toolkit'])
    ops = f'cu{facts["cuda"].replace(".", "")}-sm{facts["gpu"]}' if with_cuda else 'cpu'
    mmcv = doctor.pins()['mmcv']
    key = f'mmcv-{mmcv}_torch-{facts["torch"]}_{facts["python"]}_{facts["platform"]}_{ops}'
    return Target(key, with_cuda, Path(facts['header']))


def find(folder: Path) -> Path | None:
    """Return the wheel with operators in a folder, or None."""
    for wheel in sorted(folder.glob('mmcv-*.whl')):
        if zipfile.is_zipfile(wheel):
            names = zipfile.ZipFile(wheel).namelist()
            if any(re.fullmatch(r'mmcv/_ext[^/]*\.(so|pyd)', name) for name in names):
                return wheel
    return None


def obtain(python: str, log: Path) -> Path:
    """Return the wheel that fits `python`, from the wheelhouse or newly compiled."""
    goal = target(python)
    folder = cache_folder() / 'wheelhouse' / goal.key
    with locked(cache_folder() / 'locks' / f'{goal.key}.lock'):
        return find(folder) or compile_wheel(python, goal, folder, log)


def compiler() -> str | None:
    """Return the path of the C++ compiler used by torch's extension builder."""
    return shutil.which(os.environ.get('CXX', 'c++')) or shutil.which('g++')


def check_tools(goal: Target) -> None:
    """Raise Problem without a compiler, Python's headers or disk space."""
    if compiler() is None:
        raise Problem(f'no C++ compiler: run {doctor.system_install("g++", "python3-dev")}')
    if not goal.header.exists():
        raise Problem(f'no {goal.header}: run {doctor.system_install("python3-dev")}')
    cache_folder().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache_folder()).free
    if free < 2e9:
        raise Problem(f'{free / 1e9:.1f} GB free in {cache_folder()}: compiling mmcv needs 2 GB')


def compile_wheel(python: str, goal: Target, folder: Path, log: Path) -> Path:
    """Compile the source in requirements/compiled.txt; the wheel is moved into place atomically."""
    check_tools(goal)
    kind = 'CUDA' if goal.with_cuda else 'CPU'
    print(f'  compiling mmcv with {kind} operators: 8 to 10 minutes on 2 cores', flush=True)
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    jobs = max(1, min(os.cpu_count() or 1, memory // BYTES_PER_JOB))
    env = {
        'MMCV_WITH_OPS': '1',
        'FORCE_CUDA': str(int(goal.with_cuda)),
        'MAX_JOBS': os.environ.get('MAX_JOBS', str(jobs)),
        'PATH': os.pathsep.join([str(Path(python).parent), os.environ['PATH']]),  # ninja
    }
    if not goal.with_cuda:
        env['CUDA_VISIBLE_DEVICES'] = ''  # mmcv would compile for any GPU that torch sees
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        # mmcv 2.1.0 sets C++17, headers of PyTorch 2.14 need C++20: the last option wins.
        wrapper = Path(out, 'c++20')
        wrapper.write_text(f'#!/bin/sh\nexec {compiler()} "$@" -std=c++20\n')
        wrapper.chmod(0o755)
        env['CXX'] = str(wrapper)
        command = [python, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-cache-dir']
        command += ['--no-deps', '--no-binary', 'mmcv', '--require-hashes', '--wheel-dir', out]
        source = doctor.ROOT / 'requirements' / 'compiled.txt'
        run([*command, '-r', str(source)], log, 'compiling mmcv', env)
        wheel = find(Path(out))
        if wheel is None:
            raise Problem(f'mmcv compiled without operators, {log} says why')
        return wheel.rename(folder / wheel.name)

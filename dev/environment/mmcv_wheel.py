"""Wheelhouse: mmcv compiled with its operators, once for each machine and set of versions.

pip's own cache hands back a wheel compiled against another torch without a word. Here the folder's
name holds everything that a compiled wheel depends on, and a wheel counts only if it has operators.
The source is unpacked to a folder that stays until the wheel is finished, so that an interrupted
compilation goes on with the objects it has. Standard library only.
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
import doctor_probes
from setup_run import Problem, cache_folder, locked, run

BYTES_PER_JOB = 2 * 1024**3  # the largest files of mmcv take about that much while compiling

DESCRIBE = """
import json, sys, sysconfig, torch
gpu = torch.cuda.is_available()
print(json.dumps({
    'torch': torch.__version__,
    'cuda': torch.version.cuda,
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
    """Ask the environment what its mmcv must fit, and choose CPU or CUDA operators."""
    said = subprocess.run([python, '-c', DESCRIBE], capture_output=True, text=True)
    if said.returncode:
        reason = said.stderr.strip().splitlines()[-1]
        raise Problem(f'torch does not import ({reason}): run make clean setup')
    facts = json.loads(said.stdout)
    toolkit = doctor_probes.cuda_release()
    # torch refuses to compile with a toolkit of another major release than its own.
    fits = bool(toolkit and facts['cuda'] and toolkit.split('.')[0] == facts['cuda'].split('.')[0])
    with_cuda = bool(facts['gpu']) and fits
    if facts['gpu'] and not fits:
        note = f'  note: a GPU, but CUDA toolkit {toolkit} for torch with CUDA {facts["cuda"]}:'
        print(note, 'operators for the CPU only', flush=True)
    ops = f'cu{toolkit.replace(".", "")}-sm{facts["gpu"]}' if with_cuda else 'cpu'
    mmcv = doctor.pins()['mmcv']
    key = f'mmcv-{mmcv}_torch-{facts["torch"]}_{facts["python"]}_{facts["platform"]}_{ops}'
    return Target(key, with_cuda, Path(facts['header']))


def has_operators(wheel: Path) -> bool:
    if not zipfile.is_zipfile(wheel):
        return False
    with zipfile.ZipFile(wheel) as archive:
        return any(re.fullmatch(r'mmcv/_ext[^/]*\.(so|pyd)', name) for name in archive.namelist())


def find(folder: Path) -> Path | None:
    return next(filter(has_operators, sorted(folder.glob('mmcv-*.whl'))), None)


def obtain(python: str, log: Path) -> Path:
    """The wheel that fits `python`, from the wheelhouse or compiled into it."""
    goal = target(python)
    folder = cache_folder() / 'wheelhouse' / goal.key
    with locked(cache_folder() / 'locks' / f'{goal.key}.lock') as lock:
        wheel = find(folder)
        if wheel is None:
            wheel = compile_wheel(python, goal, folder, log, lock)
        return wheel


def check_tools(goal: Target) -> None:
    if doctor_probes.compiler() is None:
        raise Problem(f'no C++ compiler: run {doctor.system_install("g++", "python3-dev")}')
    if not goal.header.exists():
        raise Problem(f'no {goal.header}: run {doctor.system_install("python3-dev")}')
    cache_folder().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache_folder()).free
    if free < 2e9:
        raise Problem(f'{free / 1e9:.1f} GB free in {cache_folder()}: compiling mmcv needs 2 GB')


def compile_wheel(python: str, goal: Target, folder: Path, log: Path, lock: int) -> Path:
    check_tools(goal)
    build = cache_folder() / 'builds' / goal.key
    source = unpack(python, build, log)
    objects = len(list(source.rglob('*.o')))
    state = f'goes on from {objects} objects' if objects else 'takes 8 to 10 minutes on 2 cores'
    kind = 'CUDA' if goal.with_cuda else 'CPU'
    print(f'  compiling mmcv with {kind} operators, once for this machine: {state}', flush=True)
    env = {
        'MMCV_WITH_OPS': '1',
        'FORCE_CUDA': str(int(goal.with_cuda)),
        'MAX_JOBS': os.environ.get('MAX_JOBS', str(jobs())),
        'PATH': os.pathsep.join([str(Path(python).parent), os.environ['PATH']]),  # ninja
    }
    if not goal.with_cuda:
        env['CUDA_VISIBLE_DEVICES'] = ''  # mmcv would compile for any GPU that torch sees
    out = build / 'out'
    command = [python, '-m', 'pip', 'wheel', '--no-build-isolation', '--no-cache-dir', '--no-deps']
    command += ['--wheel-dir', str(out), str(source)]

    run(command, log, 'compiling mmcv', env, lambda: progress(source), lock)
    wheel = find(out)
    if wheel is None:
        shutil.rmtree(build)
        raise Problem(f'mmcv compiled without operators, {log} says why; run make setup again')
    folder.mkdir(parents=True, exist_ok=True)
    finished = folder / wheel.name
    os.replace(wheel, finished)
    shutil.rmtree(build)
    return finished


def progress(source: Path) -> str:
    """How many objects there are, of those that ninja's plan names."""
    plans = [path.read_text() for path in source.glob('build/temp*/build.ninja')]
    planned = sum(len(re.findall(r'^build .*\.o:', plan, re.MULTILINE)) for plan in plans)
    return f'{len(list(source.rglob("*.o")))} of {planned or "?"} objects'


def unpack(python: str, build: Path, log: Path) -> Path:
    """The source folder; it appears whole or not at all."""
    source = build / 'source'
    if source.exists():
        return source
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        fetched = Path(folder, 'sdist')
        command = [python, '-m', 'pip', 'download', '--no-build-isolation', '--no-cache-dir']
        command += ['--no-deps', '--no-binary', 'mmcv', '--dest', str(fetched), '--require-hashes']
        named = doctor.ROOT / 'requirements' / 'mmcv.txt'  # with the hash of the source
        run([*command, '-r', str(named)], log, 'fetching the source of mmcv')
        shutil.unpack_archive(next(fetched.glob('mmcv-*.tar.gz')), Path(folder, 'unpacked'))
        os.replace(next(Path(folder, 'unpacked').iterdir()), source)
    return source


def jobs() -> int:
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return max(1, min(os.cpu_count() or 1, memory // BYTES_PER_JOB))

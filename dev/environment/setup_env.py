"""Create the environment: `make setup`.

    python dev/environment/setup_env.py [--venv .venv] [--ops torch|compiled]

A virtual environment with the exact wheels of the lock for this Python and platform
(requirements/lock/; without a lock, the pinned versions of requirements/), and mmsmt as an editable
install. Nothing is compiled, unless `--ops compiled` requests mmcv with its operators
(mmcv_wheel.py compiles it once per machine). Every step checks what exists, so an interrupted run
continues, and a finished one returns at once. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import doctor
import mmcv_wheel
from setup_run import Problem, cache_folder, locked, run

NEEDED_GB = 12  # torch 5, its download 3, the rest 2, and a margin
# Requirement files.
HOSTS = ('openmmlab', 'core', 'cls', 'det', 'seg')
EXTRAS = ('digits', 'analysis', 'onnx', 'openvino', 'benchmark', 'hub', 'web', 'docs')
INSTALLED = ('build', 'torch', *HOSTS, *EXTRAS, 'dev')
BROWSER = 'chromium'  # Debian's package and command


class Environment:
    """The virtual environment in `folder` and the steps that fill it."""

    def __init__(self, folder: Path, ops: str = 'torch') -> None:
        self.folder = folder.absolute()
        self.ops = ops
        self.python = str(self.folder / 'bin' / 'python')
        self.log = self.folder / 'setup.log'
        self.stamp = self.folder / 'setup.stamp'

    def state(self) -> str:
        """Return a digest of the inputs and the content of the environment.

        The names in site-packages hold all versions, so anything installed or removed by hand
        changes it, and the next set-up checks again.
        """
        told = [str(doctor.ROOT), self.ops]
        sources = [*(doctor.ROOT / 'requirements').rglob('*.txt')]
        sources += [doctor.ROOT / name for name in ('setup.py', 'pyproject.toml')]
        told += [path.read_text() for path in sorted(sources)]
        for pattern in ('*.dist-info', 'mmcv/_ext*'):
            found = self.folder.glob(f'lib/python*/site-packages/{pattern}')
            told += sorted(path.name for path in found)
        return hashlib.sha256('\n'.join(told).encode()).hexdigest()

    def ready(self) -> bool:
        links = (doctor.ROOT / 'mmsmt' / '.mim' / 'configs').exists()
        links = links or not (doctor.ROOT / 'configs').exists()
        stamped = self.stamp.exists() and self.stamp.read_text() == self.state()
        return stamped and links and os.access(self.python, os.X_OK)

    def create(self) -> None:
        """Create the virtual environment, unless there is a working one."""
        if self.works():
            return
        if any(self.folder.glob('*')) and not (self.folder / 'pyvenv.cfg').exists():
            raise Problem(f'{self.folder} is not a virtual environment: choose another with VENV=')
        free = shutil.disk_usage(self.folder.parent).free / 1e9
        if free < NEEDED_GB:
            raise Problem(f'{free:.1f} GB free next to {self.folder}: {NEEDED_GB} GB are needed')
        command = [sys.executable, '-m', 'venv', '--clear', str(self.folder)]
        if subprocess.run(command, capture_output=True).returncode:
            raise Problem(f'no virtual environment: run {doctor.system_install("python3-venv")}')

    def works(self) -> bool:
        """Return whether an interpreter with pip starts."""
        if not os.access(self.python, os.X_OK):
            return False
        command = [self.python, '-m', 'pip', '--version']
        return subprocess.run(command, capture_output=True).returncode == 0

    def pip(self, what: str, *arguments: str) -> None:
        command = [self.python, '-m', 'pip', 'install', '--disable-pip-version-check']
        run([*command, '--retries', '2', *arguments], self.log, what)

    def install_packages(self) -> None:
        """Install everything from the package index; pip itself skips what is installed."""
        lock = lock_file()
        if lock.exists():
            arguments = ['--require-hashes', '--no-deps', '-r', str(lock)]
        else:
            print(
                f'- note: pinned versions without hashes, because {lock.name} does not exist',
                flush=True,
            )
            arguments = ['-c', requirements('constraints')]
            arguments += [part for name in INSTALLED for part in ('-r', requirements(name))]
        with step('packages, about 5 GB'):
            self.pip('installing packages', '--only-binary', ':all:', *arguments)

    def install_mmcv(self) -> None:
        """Replace mmcv-lite by mmcv with compiled operators, unless it is there and works."""
        if self.has_compiled_operators():
            return
        self.pip('installing build tools', '-r', requirements('build_mmcv'))
        wheel = mmcv_wheel.obtain(self.python, self.log)
        self.pip('installing mmcv', '--no-deps', '--force-reinstall', str(wheel))
        if not self.has_compiled_operators():
            raise Problem(
                f'mmcv from {wheel} does not work: make doctor says why; delete the wheel'
            )

    def has_compiled_operators(self) -> bool:
        """Return whether mmcv's own operators exist and load."""
        status, found = doctor.examine(self.python, ['operators'])['operators']
        return status != 'FAIL' and found.startswith('compiled')

    def install_libraries(self) -> None:
        """Install the shared libraries that OpenCV needs, or report the command for it."""
        for _ in doctor.SYSTEM_PACKAGES:  # the loader reports one at a time
            results = doctor.examine(self.python, ['opencv'])
            if results['opencv'].status != 'FAIL':
                return
            line = doctor.fix('opencv', results, self.python)
            if not line.startswith('apt-get') or shutil.which('apt-get') is None:
                raise Problem(f'OpenCV does not load ({results["opencv"].found}): run {line}')
            run(['sh', '-c', line], self.log, 'installing shared libraries')

    def install_browser(self) -> None:
        """Install the browser for the tests of the page; without it they are skipped."""
        if shutil.which(BROWSER):
            return
        line = doctor.system_install(BROWSER)
        try:
            if not line.startswith('apt-get') or shutil.which('apt-get') is None:
                raise Problem('no permission, or not Debian')
            run(['sh', '-c', line], self.log, f'installing {BROWSER}')
        except Problem as problem:
            reason = str(problem).splitlines()[0]
            print(f'  note: no browser for the tests of the page ({reason}): run {line}')

    def fill(self) -> None:
        """Run all steps in order; finished ones are quick."""
        with step(f'virtual environment {self.folder.name}'):
            self.create()
        self.install_packages()
        with step('shared libraries of OpenCV'):
            self.install_libraries()
        with step(f'browser of the tests, {BROWSER}'):
            self.install_browser()
        if self.ops == 'compiled':
            with step('mmcv with compiled operators'):
                self.install_mmcv()
        with step('mmsmt, editable'):
            here = ('--no-deps', '--no-build-isolation', '-e', str(doctor.ROOT))
            self.pip('installing mmsmt', *here)
        self.stamp.write_text(self.state())


def requirements(name: str) -> str:
    return str(doctor.ROOT / 'requirements' / f'{name}.txt')


def lock_file() -> Path:
    """Return the path of the lock for this Python and platform, which may not exist."""
    python = f'cp{sys.version_info[0]}{sys.version_info[1]}'
    platform = sysconfig.get_platform().replace('-', '_')
    return doctor.ROOT / 'requirements' / 'lock' / f'{python}-{platform}.txt'


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    print(f'- {title}', flush=True)
    begin = time.monotonic()
    yield
    print(f'  done, {time.monotonic() - begin:.0f} s', flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--venv', type=Path, default=doctor.ROOT / '.venv')
    ops = 'operators: ours on torch and torchvision, or mmcv compiled here (%(default)s)'
    parser.add_argument('--ops', choices=('torch', 'compiled'), default='torch', help=ops)
    args = parser.parse_args()
    environment = Environment(args.venv, args.ops)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # raises KeyboardInterrupt
    try:
        if environment.ready():
            return 0
        if sys.version_info < (3, 10):  # noqa: UP036  the system's Python can be older
            raise Problem('mmsmt needs Python 3.10 or newer: make setup PYTHON=python3.11')
        lock = hashlib.sha256(str(environment.folder).encode()).hexdigest()[:16]
        with locked(cache_folder() / 'locks' / f'{lock}.lock'):
            if not environment.ready():
                environment.fill()
                print(f'ready: {environment.python}')
    except Problem as problem:
        print(f'setup: {problem}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('setup: interrupted; run make setup again to continue', file=sys.stderr)
        return 130
    except OSError as error:
        print(f'setup: {error.filename}: {error.strerror}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())

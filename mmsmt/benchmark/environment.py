"""Environment of a benchmark: machine, versions, state of the code."""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import torch

import mmsmt
from mmsmt.benchmark.jobs import Settings

PACKAGE = Path(mmsmt.__file__).parent
MEASURED = (
    'layers',
    'mixers',
    'backbones',
    'deploy',
    'benchmark',
)  # packages whose code affects results
LIBRARIES = ('torch', 'timm', 'mmpretrain', 'mmengine', 'mmsmt', 'onnxruntime')


def available_cores() -> int:
    """Return the number of cores for this process; on macOS those of the machine."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def collect_facts(settings: Settings) -> dict[str, Any]:
    """Return hardware, versions and settings."""
    on_gpu = settings.device == 'cuda'
    gpu = {'gpu': torch.cuda.get_device_name(), 'cuda': torch.version.cuda} if on_gpu else {}
    return {
        'cpu': _cpu(),
        'cores': available_cores(),
        **settings._asdict(),
        **gpu,
        'python': platform.python_version(),
        **{library: _version(library) for library in LIBRARIES},
        'commit': _commit(),
        'code': fingerprint_code(),
    }


def fingerprint_code() -> str:
    """Return eight hexadecimal digits of the measured code, including uncommitted changes."""
    digest = hashlib.sha256()
    for part in MEASURED:
        for file in sorted((PACKAGE / part).rglob('*.py')):
            digest.update(str(file.relative_to(PACKAGE)).encode() + file.read_bytes())
    return digest.hexdigest()[:8]


def _cpu() -> str:
    """Return the CPU's name, as reported by Linux."""
    info = Path('/proc/cpuinfo')
    found = info.is_file() and re.search(r'^model name\s*:\s*(.+)$', info.read_text(), re.M)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the package's checkout, or None."""
    command = ['git', 'describe', '--always', '--dirty', '--exclude=*']
    try:
        done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None

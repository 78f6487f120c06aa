"""What a figure depends on beside the network: machine, versions, state of the code."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import mmsmt
from mmsmt.benchmark.jobs import Settings

PACKAGE = Path(mmsmt.__file__).parent
# What is measured, and what measures.
MEASURED = ('layers', 'mixers', 'backbones', 'deploy', 'benchmarking', 'benchmark/timing.py')
LIBRARIES = ('torch', 'timm', 'mmpretrain', 'mmengine', 'mmsmt')


def collect_facts(settings: Settings) -> dict[str, Any]:
    """Hardware, versions and settings, as they are now."""
    return {
        'cpu': _cpu(),
        'cores': len(os.sched_getaffinity(0)),
        **settings._asdict(),
        **_accelerator(settings),
        'tf32': torch.backends.cuda.matmul.allow_tf32 if settings.device == 'cuda' else None,
        'python': platform.python_version(),
        **{library: _version(library) for library in LIBRARIES},
        'commit': _commit(),
        'code': fingerprint_code(),
    }


def fingerprint_code() -> str:
    """Eight hexadecimal digits of the code that is measured: what is not committed counts too."""
    digest = hashlib.sha256()
    for part in MEASURED:
        place = PACKAGE / part
        for file in [place] if place.is_file() else sorted(place.rglob('*.py')):
            digest.update(str(file.relative_to(PACKAGE)).encode() + file.read_bytes())
    return digest.hexdigest()[:8]


def _cpu() -> str:
    """The model's name, as Linux tells it."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def _accelerator(settings: Settings) -> dict[str, Any]:
    if settings.device != 'cuda':
        return {}
    return {'gpu': torch.cuda.get_device_name(), 'cuda': torch.version.cuda}


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of the checkout that the package lies in; None where there is none."""
    command = ['git', 'describe', '--always', '--dirty', '--exclude=*']
    try:
        said = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return said.stdout.strip() or None

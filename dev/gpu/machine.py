"""Environment of the runs: unpacked wheels, and commands with a time limit."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NEEDED = {  # module: its package, which must be installed on the machine
    'torch': 'torch',
    'torchvision': 'torchvision',
    'numpy': 'numpy',
    'cv2': 'opencv-python-headless',
    'matplotlib': 'matplotlib',
    'yaml': 'pyyaml',
    'safetensors': 'safetensors',
}


def missing_packages() -> list[str]:
    return [package for module, package in NEEDED.items() if not find_spec(module)]


def unpack_wheels(site: Path) -> None:
    """Unpack all wheels into a folder, once; they contain only Python code."""
    if (site / 'finished').exists():
        return
    for wheel in sorted((HERE / 'wheels').glob('*.whl')):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    (site / 'finished').touch()


def environment(site: Path, threads: int | None = None) -> dict[str, str]:
    """Return variables for a command that imports from the unpacked wheels first."""
    made = {**os.environ, 'PYTHONPATH': str(site), 'PYTHONUNBUFFERED': '1'}
    made['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'  # the machine's plugins may not fit our pytest
    return made if threads is None else {**made, 'OMP_NUM_THREADS': str(threads)}


def run_for(
    command: Sequence[str], seconds: float, log: Path, variables: dict[str, str]
) -> int | None:
    """Run a Python command, and stop it with all its processes after a time limit.

    Args:
        command: Arguments of Python.
        seconds: Time limit.
        log: File to append its output to.
        variables: Its environment variables.

    Returns:
        Its exit status; None if it was stopped.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a') as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=HERE,
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


ABOUT = """
import json, platform, torch
gpu = torch.cuda.is_available()
print(json.dumps({
    'gpu': torch.cuda.get_device_name() if gpu else None,
    'memory': torch.cuda.get_device_properties(0).total_memory if gpu else None,
    'gpus': torch.cuda.device_count(), 'torch': torch.__version__, 'cuda': torch.version.cuda,
    'cudnn': torch.backends.cudnn.version(), 'python': platform.python_version(),
}))
"""


def describe_machine(site: Path) -> dict[str, Any]:
    """Return GPU, versions, and the commit of the pack."""
    command = [sys.executable, '-c', ABOUT]
    variables = environment(site)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    pack = json.loads((HERE / 'about.json').read_text())
    started = time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())
    return {'started': started, 'commit': pack['commit'], **json.loads(done.stdout)}

"""Probes of the doctor: what each asks of a Python environment, and of the machine below it.

    PYTHON dev/environment/doctor_probes.py NAME

runs one of them by the interpreter that is examined. A probe returns what it found. It raises when
that does not do, and raises `Remark` when it does but is worth a line. Standard library at the top,
and syntax that old interpreters read: this file must speak where nothing is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

REMARK_CODE = 3


class Unfit(Exception):
    """Something is there and does not do."""


class Remark(Exception):
    """Nothing to mend, but good to know."""


def compiler() -> str | None:
    """Path of the C++ compiler that torch's extension builder will call."""
    return shutil.which(os.environ.get('CXX', 'c++')) or shutil.which('g++')


def cuda_release() -> str | None:
    """Release of the CUDA toolkit, such as '12.4', if there is one."""
    home = os.environ.get('CUDA_HOME', '/usr/local/cuda')
    nvcc = shutil.which('nvcc') or shutil.which(os.path.join(home, 'bin', 'nvcc'))
    if nvcc is None:
        return None
    said = subprocess.run([nvcc, '--version'], stdout=subprocess.PIPE, text=True)
    release = re.search(r'release ([\d.]+)', said.stdout)
    return release.group(1) if release else None


def gpus() -> int:
    try:
        said = subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True)
    except OSError:
        return 0
    return said.stdout.count('GPU ') if said.returncode == 0 else 0


def probe_python() -> str:
    version = '{}.{}.{}'.format(*sys.version_info[:3])
    if sys.version_info < (3, 10):  # noqa: UP036  examined interpreters can be older
        raise Unfit(version)
    return version


def probe_compiler() -> str:
    path = compiler()
    if path is None:
        raise Remark('none; needed only to compile mmcv')
    program = '#include <optional>\nint main() { return std::optional<int>(0).value(); }\n'
    command = [path, '-std=c++17', '-fsyntax-only', '-x', 'c++', '-']
    if subprocess.run(command, input=program.encode(), stderr=subprocess.DEVNULL).returncode:
        raise Remark(f'{path} without C++17; needed only to compile mmcv')
    if not Path(sysconfig.get_path('include'), 'Python.h').exists():
        raise Remark(f'{path}, but Python.h is missing; needed only to compile mmcv')
    return path


def probe_cuda() -> str:
    release, count = cuda_release(), gpus()
    if count and not release:
        raise Remark(f'{count} GPU, no toolkit: mmcv operators compile for the CPU only')
    return f'{count or "no"} GPU, {"toolkit " + release if release else "no toolkit"}'


def probe_setuptools() -> str:
    from importlib.metadata import version

    found = version('setuptools')
    if int(found.split('.')[0]) >= 81:
        raise Unfit(f'{found}; mmengine and mmcv need its pkg_resources')
    import pkg_resources  # noqa: F401

    return found


def probe_torch() -> str:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU visible'
    # From 2.6 on torch.load names what is allowed beside tensors, which reading weights needs.
    if tuple(int(part) for part in torch.__version__.split('.')[:2]) < (2, 6):
        raise Unfit(torch.__version__)
    return f'{torch.__version__}, {gpu}'


def probe_torchvision() -> str:
    import torchvision

    check_nms(torchvision.ops.nms, torchvision.__version__)
    return torchvision.__version__


def check_nms(nms: Callable, version: str, device: str = 'cpu') -> None:
    """Call an operator that suppresses the second of three boxes."""
    import torch

    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.9], [5.0, 5.0, 6.0, 6.0]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    if device != 'cpu':
        boxes, scores = boxes.to(device), scores.to(device)
    kept = nms(boxes, scores, 0.5).tolist()
    if kept != [0, 2]:
        raise Unfit(f'{version}, but nms keeps {kept} instead of [0, 2]')


def probe_mmcv() -> str:
    import mmcv
    import torch

    found = mmcv.__version__
    parts = re.match(r'(\d+)\.(\d+)\.(\d+)(?:rc(\d+))?', found)
    number = tuple(99 if part is None else int(part) for part in parts.groups())
    if not (2, 0, 0, 4) <= number < (2, 2, 0, 0):
        raise Unfit(found)
    try:
        from mmcv.ops import nms
    except ModuleNotFoundError as error:
        if error.name != 'mmcv._ext':
            raise
        raise Unfit(f'{found} without operators (mmcv-lite, or MMCV_WITH_OPS=0)') from error
    except ImportError as error:
        raise Unfit(f'{found}, operators do not load into this torch: {error}') from error

    def indices(*arguments: object) -> Any:
        return nms(*arguments)[1]

    check_nms(indices, found)
    if torch.cuda.is_available():
        try:
            check_nms(indices, found, 'cuda')
        except RuntimeError as error:
            raise Remark(f'{found}, operators for the CPU only, GPU idle') from error
    return f'{found} with operators'


# What is only imported, and what its models import as well. The models themselves take 7 s each and
# add nothing: a host refuses an unfit mmcv at once.
IMPORTS = {
    'opencv': ('cv2',),
    'mmengine': ('mmengine', 'mmengine.runner'),
    'mmdet': ('mmdet', 'pycocotools.mask', 'scipy', 'shapely', 'terminaltables'),
    'mmseg': ('mmseg', 'ftfy', 'regex', 'prettytable', 'scipy'),
    'mmpretrain': ('mmpretrain', 'ftfy', 'regex', 'einops', 'mat4py', 'modelindex'),
}


def probe_imports(name: str) -> str:
    return [import_module(needed) for needed in IMPORTS[name]][0].__version__


def probe_mmsmt() -> str:
    import mmsmt

    return f'{mmsmt.__version__} in {Path(mmsmt.__file__).parent}'


def probe_smt() -> str:
    from mmengine.registry import MODELS

    import mmsmt.backbones  # noqa: F401  a registry would call a broken import "not found"

    network = MODELS.build({'type': 'mmsmt.SMT', 'arch': 'tiny'})
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    return f'SMT-T builds, {millions:.1f} M parameters'


def main(name: str) -> int:
    # This script's folder holds other scripts, whose names must not hide libraries.
    sys.path.pop(0)
    try:
        print(probe_imports(name) if name in IMPORTS else globals()['probe_' + name]())
    except Remark as remark:
        print(remark)
        return REMARK_CODE
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))

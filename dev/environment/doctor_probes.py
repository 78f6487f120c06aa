"""Probes of the doctor: checks of a Python environment.

    PYTHON dev/environment/doctor_probes.py NAME

runs one of them with the examined interpreter. A probe returns what it found, raises if that is not
good enough, and raises `Remark` if it is, but worth a note. Only the standard library at the top,
and old syntax: this file must run in any environment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

REMARK_CODE = 3

# Imported hosts, and what their models import. Building models would take 7 s each and add nothing:
# a host refuses an unsuitable mmcv at import.
IMPORTS = {
    'opencv': ('cv2',),
    'mmengine': ('mmengine', 'mmengine.runner'),
    'mmcv': ('mmcv',),
    'mmdet': ('mmdet', 'pycocotools.mask', 'scipy', 'shapely', 'terminaltables'),
    'mmseg': ('mmseg', 'ftfy', 'regex', 'prettytable', 'scipy'),
    'mmpretrain': ('mmpretrain', 'ftfy', 'regex', 'einops', 'mat4py', 'modelindex'),
}


class Unfit(Exception):
    """Something is installed but does not work."""


class Remark(Exception):
    """Nothing to fix, but worth knowing."""


def probe_python() -> str:
    version = '{}.{}.{}'.format(*sys.version_info[:3])
    if sys.version_info < (3, 10):  # noqa: UP036  examined interpreters can be older
        raise Unfit(version)
    return version


def probe_torch() -> str:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU visible'
    # From 2.6 on torch.load can allow further types by name, which reading weights needs.
    if tuple(int(part) for part in torch.__version__.split('.')[:2]) < (2, 6):
        raise Unfit(torch.__version__)
    return f'{torch.__version__}, {gpu}'


def kept_by(nms: Callable, device: str = 'cpu') -> list:
    """Return which of three boxes an operator keeps; the second duplicates the first."""
    import torch

    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.9], [5.0, 5.0, 6.0, 6.0]])
    return nms(boxes.to(device), torch.tensor([0.9, 0.8, 0.7]).to(device), 0.5).tolist()


def probe_torchvision() -> str:
    import torchvision

    if (kept := kept_by(torchvision.ops.nms)) != [0, 2]:
        raise Unfit(f'{torchvision.__version__}, but nms keeps {kept} instead of [0, 2]')
    return torchvision.__version__


def probe_operators() -> str:
    import torch

    try:
        import mmcv._ext
    except ModuleNotFoundError as error:
        raise Unfit('none: mmcv has no compiled ones, and mmsmt is not installed') from error
    except ImportError as error:
        why = f'compiled ones do not load into this torch: {error}'
        raise Unfit(f'{why}; MMSMT_OPS=torch uses ours') from error
    from mmcv.ops import nms

    ours = str(mmcv._ext.__file__).endswith('.py')
    kind = 'mmsmt.ops (on a CPU soft-NMS takes 10 times as long)' if ours else 'compiled'
    for device in ['cpu', 'cuda'][: 1 + torch.cuda.is_available()]:
        try:
            kept = kept_by(lambda *arguments: nms(*arguments)[1], device)
        except RuntimeError as error:
            raise Remark(f'{kind}, for the CPU only: MMSMT_OPS=torch uses the GPU') from error
        if kept != [0, 2]:
            raise Unfit(f'{kind}, but nms keeps {kept} instead of [0, 2]')
    return kind


def probe_imports(name: str) -> str:
    from importlib.metadata import packages_distributions

    module = [import_module(needed) for needed in IMPORTS[name]][0]
    known = packages_distributions().get(IMPORTS[name][0], [])
    family = ' of ' + ', '.join(sorted(set(known))) if name.startswith('mm') and known else ''
    return module.__version__ + family


def probe_mmsmt() -> str:
    import mmsmt

    return f'{mmsmt.__version__} in {Path(mmsmt.__file__).parent}'


def probe_smt() -> str:
    from mmengine.registry import MODELS

    import mmsmt.backbones  # noqa: F401  a registry would call a broken import "not found"

    network = MODELS.build({'type': 'mmsmt.SMT', 'arch': 'tiny'})
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    return f'SMT-T builds, {millions:.1f} M parameters'


def run_probe(name: str) -> int:
    """Run a probe in this process and print what it found."""
    sys.path.pop(0)  # the folder of this script, whose names must not hide libraries
    try:
        print(probe_imports(name) if name in IMPORTS else globals()['probe_' + name]())
    except Remark as remark:
        print(remark)
        return REMARK_CODE
    return 0


if __name__ == '__main__':
    sys.exit(run_probe(sys.argv[1]))

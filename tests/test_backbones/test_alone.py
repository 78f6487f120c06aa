"""The backbones import nothing but PyTorch and mmengine, and every host finds them by name alone.

Each case is a process of its own: what is imported here already would hide a fault.
"""

import subprocess
import sys
from collections.abc import Iterator

import pytest

HOSTS = ('mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'timm', 'safetensors')

BLOCK = f"""
import sys
asked = []
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {HOSTS!r}:
            asked.append(name)
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Block())
"""

# Nothing but our own core comes on top of PyTorch, which needs filelock, and of what mmengine
# itself imports.
LOADED = """
ROOMS = {'registry', 'errors', 'text', 'paths', 'layers', 'mixers', 'backbones', 'checkpoints'}
def packages():
    return {name.split('.')[0] for name in sys.modules}
def check_loaded(before):
    others = packages() - before - {'mmsmt', 'torch', 'torchvision', 'numpy', 'filelock'}
    assert not others & {'PIL', 'cv2', 'rich', 'matplotlib'}, others
    assert others <= sys.stdlib_module_names, others
    modules = {name for name in sys.modules if name.startswith('mmsmt.')}
    wrong = {name for name in modules if name.split('.')[1] not in ROOMS}
    assert wrong <= {'mmsmt.engine', 'mmsmt.engine.tta'}, wrong
    assert not asked, f'imported or tried to: {asked}'
"""

USE = """
import mmengine.registry, mmengine.model
before = packages()
import mmsmt.backbones
check_loaded(before)
import torch
from mmsmt.backbones import SMT, SGFormer
for network in (SMT, SGFormer):
    model = network(arch='pico', frozen_stages=1, with_cp=True, drop_path_rate=0.1)
    model.init_weights()
    model.load_state_dict(network(arch='pico').state_dict())
    outputs = model(torch.rand(2, 3, 64, 64))
    sum(f.mean() for f in outputs).backward()
    assert [f.shape[1] for f in outputs] == [info.channels for info in model.feature_info]
assert not asked, f'imported or tried to: {asked}'
"""

REGISTRY = """
import mmsmt.registry
assert 'torchvision' not in sys.modules and 'mmsmt.backbones' not in sys.modules
import mmengine.model
before = packages()
from mmengine.registry import MODELS
model = MODELS.build(dict(type='mmsmt.SMT', arch='pico'))
assert type(model).__module__ == 'mmsmt.backbones.smt'
check_loaded(before)
assert type(mmsmt.registry.MODELS.build(dict(type='SMT', arch='pico'))) is type(model)
try:  # which is registered without its host, and says what it needs
    MODELS.build(dict(type='mmsmt.InstanceTTAModel', tta_cfg={}, module={}))
except ModuleNotFoundError as error:
    assert error.name.startswith('mmdet'), error
else:
    raise SystemExit('built without mmdet')
"""

FROM_HOST = """
import sys
from {host}.registry import MODELS
from mmengine.registry import DefaultScope
assert not [name for name in sys.modules if name.split('.')[0] == 'mmsmt']
DefaultScope.get_instance('test', scope_name='{host}')
model = MODELS.build(dict(type='mmsmt.SMT', arch='pico', out_indices=(3,)))
assert type(model).__module__ == 'mmsmt.backbones.smt'
assert model.feature_info[0].channels == 256
"""


def run(code: str) -> None:
    """Run code in a fresh interpreter, outside this folder."""
    said = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True, timeout=300
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_blocker_blocks() -> None:
    """Control: with it the hosts really are missing."""
    run(
        BLOCK
        + """
for host in ('mmcv', 'mmdet'):
    try:
        __import__(host)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f'{host} was imported')
assert asked == ['mmcv', 'mmdet']
"""
    )


@pytest.mark.slow
def test_works_without_any_host() -> None:
    run(BLOCK + LOADED + USE)


@pytest.mark.slow
def test_registry_alone_finds_the_backbone() -> None:
    run(BLOCK + LOADED + REGISTRY)


@pytest.fixture(scope='module')
def started() -> Iterator[dict[str, subprocess.Popen]]:
    """One process per host, side by side: importing a host takes seconds."""
    processes = {
        host: subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c', FROM_HOST.format(host=host)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for host in ('mmdet', 'mmseg', 'mmpretrain')
    }
    yield processes
    for process in processes.values():
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize('host', ['mmdet', 'mmseg', 'mmpretrain'])
def test_host_finds_the_backbone_without_custom_imports(
    started: dict[str, subprocess.Popen], host: str
) -> None:
    said, _ = started[host].communicate(timeout=300)
    assert started[host].returncode == 0, said

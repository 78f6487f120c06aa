"""The doctor names what is broken and the command that fixes it.

Broken libraries are stand-ins in a folder that PYTHONPATH puts before the real ones, so that a case
takes a second; `test_this_environment_is_healthy` asks the real ones.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = dict(
    re.findall(
        r'^([\w.-]+)==([\w.]+)',
        '\n'.join(path.read_text() for path in (ROOT / 'requirements').glob('*.txt')),
        re.MULTILINE,
    )
)

NMS = """
class Kept(list):
    def tolist(self):
        return list(self)
    def __getitem__(self, index):
        return self
"""
TENSOR = """
class Tensor(list):
    def to(self, device):
        return self
def tensor(data):
    return Tensor(data)
"""
HEALTHY = {
    'torch': (
        "__version__ = '2.11.0'\nclass cuda:\n    is_available = staticmethod(lambda: False)\n"
        + TENSOR
    ),
    'torchvision': NMS + "__version__ = '0.26.0'\nclass ops:\n    nms = lambda *_: Kept([0, 2])\n",
    'cv2': "__version__ = '5.0.0'",
    'mmengine': "__version__ = '0.10.7'",
    'mmengine.runner': '',
    'mmengine.registry': (
        'class Network:\n    parameters = staticmethod(list)\n'
        'class MODELS:\n    build = staticmethod(lambda config: Network())'
    ),
    'mmcv': "__version__ = '2.1.0'",
    'mmcv._ext': '',
    'mmcv.ops': NMS + 'nms = lambda *_: Kept([0, 2])',
    'mmdet': "__version__ = '3.3.0'",
    'mmseg': "__version__ = '1.2.2'",
    'mmpretrain': "__version__ = '1.2.0'",
    'mmsmt': "__version__ = '0.1.0'",
    'mmsmt.backbones': '',
}
UNDEFINED = "raise ImportError('undefined symbol: _ZN2at')"
REFUSAL = "raise AssertionError('MMCV==2.2.0 is used but incompatible')"


def missing(name: str) -> str:
    return f'raise ModuleNotFoundError("No module named \'{name}\'", name="{name}")'


def see_doctor(site: Path, broken: dict[str, str]) -> tuple[int, str, dict[str, tuple[str, str]]]:
    """Exit code, output, and (status, fixing command) by name, for stand-ins with some broken."""
    for name, body in {**HEALTHY, **broken}.items():
        folder = site.joinpath(*name.split('.'))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / '__init__.py').write_text(body)
    said = subprocess.run(
        [sys.executable, ROOT / 'dev/environment/doctor.py', '--python', sys.executable],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(site)},
    )
    assert said.stderr == ''
    rows: dict[str, tuple[str, str]] = {}
    for line in said.stdout.splitlines():
        row = re.match(r'(ok|note|FAIL) +(\w+)', line)
        fix = re.match(r' +fix: (.*)', line)
        if row:
            name = row[2]
            rows[name] = (row[1], '')
        elif fix:
            rows[name] = (rows[name][0], fix[1])
    assert len(rows) == 12, said.stdout
    return said.returncode, said.stdout, rows


def failed(rows: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: fix for name, (status, fix) in rows.items() if status == 'FAIL'}


def test_healthy(tmp_path: Path) -> None:
    code, output, rows = see_doctor(tmp_path, {})
    assert failed(rows) == {}
    assert code == 0
    assert output.splitlines()[-1] == f'healthy: {sys.executable}'


def test_setuptools_without_pkg_resources(tmp_path: Path) -> None:
    """Release 82 removed what mmengine 0.10.7 imports."""
    code, output, rows = see_doctor(tmp_path, {'mmengine.runner': missing('pkg_resources')})
    line = f'{sys.executable} -m pip install setuptools=={PINS["setuptools"]}'
    assert failed(rows)['mmengine'] == line
    assert code == 1
    assert output.splitlines()[-1].startswith('to fix: mmengine')


@pytest.mark.parametrize(
    ('broken', 'failing', 'fix', 'says'),
    [
        ({'mmcv._ext': missing('mmcv._ext')}, 'operators', '--no-deps -e', 'no compiled ones'),
        (
            {'mmcv._ext': UNDEFINED},
            'operators',
            'uninstall -y mmcv &&',
            'MMSMT_OPS=torch uses ours',
        ),
        ({'mmcv.ops': NMS + 'nms = lambda *_: Kept([1])'}, 'operators', '', 'nms keeps [1]'),
        ({'mmdet': REFUSAL}, 'mmdet', f'mmcv-lite=={PINS["mmcv-lite"]}', 'MMCV==2.2.0 is used'),
    ],
)
def test_operators_and_versions(
    tmp_path: Path, broken: dict[str, str], failing: str, fix: str, says: str
) -> None:
    code, output, rows = see_doctor(tmp_path, broken)
    assert list(failed(rows)) == [failing]
    assert fix in failed(rows)[failing]
    assert says in output
    assert code == 1


def test_operators_of_ours(tmp_path: Path) -> None:
    """Ours are a file of Python; what they cost is said."""
    _, output, rows = see_doctor(tmp_path, {})
    assert failed(rows) == {}
    assert re.search(r'^ok +operators .*mmsmt.ops .*soft-NMS', output, re.MULTILINE)


def test_missing_host(tmp_path: Path) -> None:
    _, _, rows = see_doctor(tmp_path, {'mmdet': missing('mmdet'), 'mmseg': missing('prettytable')})
    pip = f'{sys.executable} -m pip install'
    assert failed(rows) == {
        'mmdet': f'{pip} mmdet=={PINS["mmdet"]}',
        'mmseg': f'{pip} prettytable',
    }


def test_nothing_installed(tmp_path: Path) -> None:
    """What is missing gets its own line; what stumbles over it says what comes first."""
    _, _, rows = see_doctor(tmp_path, {name: missing(name) for name in ('torch', 'cv2', 'mmcv')})
    pip = f'{sys.executable} -m pip install'
    pair = f'{pip} torch=={PINS["torch"]} torchvision=={PINS["torchvision"]}'
    assert failed(rows)['torch'] == pair
    assert failed(rows)['torchvision'] == 'torch first'
    assert failed(rows)['opencv'] == f'{pip} opencv-python=={PINS["opencv-python"]}'
    assert 'first' not in failed(rows)['mmcv']


def test_crash_hides_nothing(tmp_path: Path) -> None:
    crash = 'import os; os.kill(os.getpid(), 11)'
    _, output, rows = see_doctor(tmp_path, {'torchvision': crash, 'mmseg': missing('mmseg')})
    assert set(failed(rows)) == {'torchvision', 'mmseg'}
    assert 'crashed with signal 11' in output


def test_shared_library(tmp_path: Path) -> None:
    error = 'libGL.so.1: cannot open shared object file: No such file or directory'
    _, _, rows = see_doctor(tmp_path, {'cv2': f'raise ImportError({error!r})'})
    assert failed(rows)['opencv'].endswith('apt-get install -y --no-install-recommends libgl1')


def test_interpreter_that_is_not_there(tmp_path: Path) -> None:
    said = subprocess.run(
        [
            sys.executable,
            ROOT / 'dev/environment/doctor.py',
            '--python',
            tmp_path / 'bin' / 'python',
        ],
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    assert said.stderr == ''
    assert 'does not start' in said.stdout
    assert said.stdout.endswith('fix: make setup\n')


def test_this_environment_is_healthy() -> None:
    said = subprocess.run(
        [sys.executable, ROOT / 'dev/environment/doctor.py'], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr

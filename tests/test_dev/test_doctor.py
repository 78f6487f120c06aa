"""The doctor names what is broken and the command that mends it.

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
HEALTHY = {
    'setuptools': "__version__ = '80.10.2'",
    'pkg_resources': '',
    'torch': (
        "__version__ = '2.11.0'\nclass cuda:\n    is_available = staticmethod(lambda: False)\n"
        'def tensor(data):\n    return data'
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
    'mmcv.ops': NMS + 'nms = lambda *_: Kept([0, 2])',
    'mmdet': "__version__ = '3.3.0'",
    'mmseg': "__version__ = '1.2.2'",
    'mmpretrain': "__version__ = '1.2.0'",
    'mmsmt': "__version__ = '0.1.0'",
    'mmsmt.backbones': '',
}
NO_OPERATORS = 'raise ModuleNotFoundError("No module named \'mmcv._ext\'", name="mmcv._ext")'


def missing(name: str) -> str:
    return f'raise ModuleNotFoundError("No module named \'{name}\'", name="{name}")'


def see_doctor(
    site: Path, broken: dict[str, str], setuptools: str = '80.10.2'
) -> tuple[int, str, dict[str, tuple[str, str]]]:
    """Exit code, output, and (status, mending command) by name, for stand-ins with some broken."""
    for name, body in {**HEALTHY, **broken}.items():
        folder = site.joinpath(*name.split('.'))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / '__init__.py').write_text(body)
    info = site / f'setuptools-{setuptools}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Name: setuptools\nVersion: {setuptools}\n')
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
        mend = re.match(r' +mend: (.*)', line)
        if row:
            name = row[2]
            rows[name] = (row[1], '')
        elif mend:
            rows[name] = (rows[name][0], mend[1])
    assert len(rows) == 14, said.stdout
    return said.returncode, said.stdout, rows


def failed(rows: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: mend for name, (status, mend) in rows.items() if status == 'FAIL'}


def test_healthy(tmp_path: Path) -> None:
    code, output, rows = see_doctor(tmp_path, {})
    assert failed(rows) == {}
    assert code == 0
    assert output.splitlines()[-1] == f'healthy: {sys.executable}'


def test_setuptools_82(tmp_path: Path) -> None:
    code, output, rows = see_doctor(tmp_path, {}, setuptools='82.0.0')
    line = f'{sys.executable} -m pip install setuptools=={PINS["setuptools"]}'
    assert failed(rows) == {'setuptools': line}
    assert code == 1
    assert output.splitlines()[-1] == 'to mend: setuptools'


@pytest.mark.parametrize(
    ('broken', 'says'),
    [
        ({'mmcv.ops': NO_OPERATORS}, '2.1.0 without operators'),
        ({'mmcv': "__version__ = '2.2.0'"}, '2.2.0'),
        ({'mmcv': "__version__ = '2.0.0rc3'"}, '2.0.0rc3'),
        ({'mmcv.ops': "raise ImportError('undefined symbol: _ZN2at')"}, 'undefined symbol'),
        ({'mmcv': missing('mmcv')}, "No module named 'mmcv'"),
    ],
)
def test_mmcv(tmp_path: Path, broken: dict[str, str], says: str) -> None:
    code, output, rows = see_doctor(tmp_path, broken)
    assert list(failed(rows)) == ['mmcv']
    line = failed(rows)['mmcv']
    ours = Path(sys.executable).parent == ROOT / '.venv' / 'bin'
    wanted = 'make setup' if ours else f'{sys.executable} -m pip install mmcv=={PINS["mmcv"]} '
    assert wanted in line
    assert says in output
    assert code == 1


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


def test_host_that_refuses_mmcv(tmp_path: Path) -> None:
    """mmdet and mmseg raise AssertionError; the cause is mended, not the host."""
    refusal = "raise AssertionError('MMCV==2.2.0 is used but incompatible')"
    _, _, rows = see_doctor(tmp_path, {'mmcv': "__version__ = '2.2.0'", 'mmdet': refusal})
    assert failed(rows)['mmdet'] == 'mmcv first'


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
    assert said.stdout.endswith('mend: make setup\n')


def test_this_environment_is_healthy() -> None:
    said = subprocess.run(
        [sys.executable, ROOT / 'dev/environment/doctor.py'], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr

"""`mmcv._ext` in fresh processes: compiled, ours, or a clear error."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import mmcv
import pytest

from mmsmt.ops import extension

COMPILED = list(Path(mmcv.__file__).parent.glob('_ext.*'))
SAY = 'import mmcv._ext; print(mmcv._ext.__file__)'


def python(code: str, folder: Path, path: Path | None = None, **variables: str) -> tuple[int, str]:
    """Exit code and last line of a process in a folder that is not the project's."""
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=folder,
        env={'PATH': '', 'PYTHONPATH': str(path or ''), **variables},
        capture_output=True,
        text=True,
    )
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]


@pytest.fixture
def lite(tmp_path: Path) -> Path:
    """A folder with an mmcv without compiled operators, as mmcv-lite is."""
    shutil.copytree(
        Path(mmcv.__file__).parent,
        tmp_path / 'lite' / 'mmcv',
        ignore=shutil.ignore_patterns('_ext*', '__pycache__'),
    )
    return tmp_path / 'lite'


def test_every_operator_of_mmcv_has_a_function() -> None:
    sources = Path(mmcv.__file__).parent.joinpath('ops').glob('*.py')
    calls = (re.findall(r"load_ext\(\s*'_ext',\s*\[(.*?)\]", p.read_text(), re.S) for p in sources)
    names = {name for found in calls for text in found for name in re.findall(r"'(\w+)'", text)}
    assert set(extension.__all__) <= names and len(names) > 60
    for name in names - set(extension.__all__) - {n for n in names if n.startswith('get_')}:
        with pytest.raises(NotImplementedError, match=f'{name} is not available .* install mmcv'):
            getattr(extension, name)(1, two=2)
    assert not hasattr(extension, '__path__')


@pytest.mark.skipif(not COMPILED, reason='mmcv has no compiled operators here')
def test_compiled_operators_win_unless_told_otherwise(tmp_path: Path) -> None:
    assert python(SAY, tmp_path) == (0, str(COMPILED[0]))
    assert python(SAY, tmp_path, MMSMT_OPS='compiled') == (0, str(COMPILED[0]))
    assert python(SAY, tmp_path, MMSMT_OPS='torch') == (0, extension.__file__)


def test_mmcv_without_operators_gets_ours(lite: Path, tmp_path: Path) -> None:
    """Nothing of mmsmt is imported by the user's program."""
    assert python(SAY, tmp_path, lite) == (0, extension.__file__)
    code = 'from mmcv.ops import get_compiler_version, nms; print(get_compiler_version())'
    assert python(code, tmp_path, lite)[1].startswith('none, operators of mmsmt.ops')


def test_compiled_operators_that_are_missing_are_missed(lite: Path, tmp_path: Path) -> None:
    code, said = python(SAY, tmp_path, lite, MMSMT_OPS='compiled')
    assert code and said == "ModuleNotFoundError: No module named 'mmcv._ext'"
    code, said = python(SAY, tmp_path, lite, MMSMT_OPS='cuda')
    assert code and said == "ImportError: MMSMT_OPS is 'cuda'; known: auto, torch, compiled"

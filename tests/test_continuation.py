"""mmsmt with the original libraries, with their continuation, and with neither.

Each case is a process of its own, which imports mmsmt for the first time.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Block())
import mmsmt
"""
# As with onedl-mmsegmentation, whose modules have the original's names.
OTHER_DISTRIBUTION = """
import importlib.metadata as metadata
version = metadata.version
def without_original(name):
    if name == 'mmsegmentation':
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = without_original
"""
INHERIT = """
import mmsmt
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
cfg = Config.fromstring("_base_ = 'mmseg::_base_/default_runtime.py'", '.py')
assert cfg.default_scope == 'mmseg'
cfg = Config.fromstring("_base_ = 'mmsmt::digits/upernet_smt_pico.py'", '.py')
assert cfg.model.type == 'EncoderDecoder'
print(MODULE2PACKAGE['mmseg'])
"""


def python(code: str) -> tuple[int, str]:
    """Exit code and last line of a process."""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]


def test_without_mmengine_both_extras_are_named() -> None:
    code, said = python(BLOCK.format(name='mmengine'))
    assert code and said.startswith('ImportError: mmsmt needs mmengine, which is not installed')
    assert 'mmsmt[openmmlab]' in said and 'mmsmt[onedl]' in said


def test_an_mmengine_that_lacks_a_package_says_which() -> None:
    code, said = python(BLOCK.format(name='addict'))
    assert code and said == "ModuleNotFoundError: No module named 'addict'"


def test_configs_of_mmseg_and_mmsmt_are_inherited() -> None:
    try:
        version('mmsegmentation')
    except PackageNotFoundError:
        pytest.skip('mmsegmentation is not installed')
    assert python(INHERIT) == (0, 'mmsegmentation')


def test_configs_of_the_continuation_are_inherited() -> None:
    assert python(OTHER_DISTRIBUTION + INHERIT) == (0, 'mmseg')

"""The contracts on imports really break when a forbidden import appears."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Contract: where to put which line.
FORBIDDEN = {
    'Floors: a floor imports only the floors below it': (
        'layers/ffn.py',
        'from mmsmt.mixers import sam',
    ),
    'Floors know no host library': ('mixers/msa.py', 'import mmcv'),
    'Reading weights knows no network; only backbones may call it': (
        'checkpoints/smt.py',
        'from mmsmt.backbones.smt import SMT',
    ),
    'Layers and mixers stand on registry and torch alone': (
        'layers/init.py',
        'import mmsmt.checkpoints',
    ),
    'Backbones know no data, no training loop': ('backbones/base.py', 'import mmsmt.datasets'),
    'Data knows no network': ('datasets/digits.py', 'import mmsmt.layers'),
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package beside its contracts."""
    ignore = shutil.ignore_patterns('__pycache__', '.mim')
    shutil.copytree(ROOT / 'mmsmt', tmp_path / 'mmsmt', ignore=ignore)
    shutil.copy2(ROOT / 'pyproject.toml', tmp_path)
    return tmp_path / 'mmsmt'


def check(package: Path) -> tuple[int, str]:
    said = subprocess.run(
        [Path(sys.executable).with_name('lint-imports'), '--no-cache'],
        cwd=package.parent,
        capture_output=True,
        text=True,
    )
    return said.returncode, said.stdout + said.stderr


def test_package_keeps_all_contracts_and_each_has_a_case_here(package: Path) -> None:
    code, said = check(package)
    assert code == 0, said
    assert set(re.findall(r'^(.+?) KEPT$', said, re.MULTILINE)) == set(FORBIDDEN)


@pytest.mark.parametrize('contract', FORBIDDEN)
def test_forbidden_import_breaks_the_contract(package: Path, contract: str) -> None:
    file, line = FORBIDDEN[contract]
    path = package / file
    path.write_text(path.read_text() + f'\n{line}\n')
    code, said = check(package)
    assert code != 0
    assert f'{contract} BROKEN' in ' '.join(said.split())
    # The message names the module and the line to look at.
    module = 'mmsmt.' + file.removesuffix('.py').replace('/', '.')
    assert f'{module} -> ' in said
    assert f'l.{len(path.read_text().splitlines())}' in said

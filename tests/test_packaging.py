"""What a built package holds, and that building leaves the source tree as it was.

The build runs on a copy of the tree, without isolation and without the network.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ('mmsmt', 'configs', 'tools', 'requirements', 'setup.py', 'pyproject.toml', 'LICENSE')
OPTIONAL = ('README.md', 'MANIFEST.in', 'model-index.yml')


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, with a file in every carried place and remains of an old build."""
    folder = tmp_path_factory.mktemp('source')
    ignore = shutil.ignore_patterns('__pycache__', '.mim')
    for name in [*SOURCES, *(name for name in OPTIONAL if (ROOT / name).exists())]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        else:
            shutil.copy2(ROOT / name, folder / name)
    (folder / 'model-index.yml').write_text('Import: []\n')
    (folder / 'build' / 'lib' / 'mmsmt').mkdir(parents=True)
    (folder / 'build' / 'lib' / 'mmsmt' / 'removed.py').touch()
    return folder


def build(source: Path, out: Path, editable: bool = False) -> zipfile.ZipFile:
    """Call the build backend as pip does, in a process that must not import torch."""
    hook = 'build_editable' if editable else 'build_wheel'
    code = (
        f'import sys; from setuptools import build_meta; build_meta.{hook}({str(out)!r});'
        'assert "torch" not in sys.modules'
    )
    said = subprocess.run([sys.executable, '-c', code], cwd=source, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    return zipfile.ZipFile(next(out.glob('*.whl')))


def files(folder: Path) -> set[str]:
    """All files except setuptools' metadata next to the source, which git ignores."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob('*'))
    return {path for path in paths if '.egg-info' not in path}


@pytest.fixture(scope='module')
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    before = files(source)
    built = build(source, tmp_path_factory.mktemp('wheel'))
    assert files(source) == before
    return built


def test_wheel_carries_configs_and_tools(source: Path, wheel: zipfile.ZipFile) -> None:
    carried = {name for name in wheel.namelist() if name.startswith('mmsmt/.mim/')}
    wanted = {'mmsmt/.mim/model-index.yml'}
    for folder in ('configs', 'tools'):
        paths = [path for path in (source / folder).rglob('*') if path.is_file()]
        assert paths
        wanted |= {f'mmsmt/.mim/{path.relative_to(source).as_posix()}' for path in paths}
    assert carried == wanted


def test_wheel_holds_every_module_and_nothing_old(source: Path, wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if re.match(r'mmsmt/(?!\.mim).*\.py$', name)}
    assert packed == {path.relative_to(source).as_posix() for path in source.glob('mmsmt/**/*.py')}


def test_requirements(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    metadata = importlib.metadata.PathDistribution(zipfile.Path(wheel, os.path.dirname(name) + '/'))
    always = [line for line in metadata.requires if 'extra ==' not in line]
    assert not [line for line in always if '==' in line], 'pins belong to extras'
    assert {re.split(r'[^\w-]', line)[0] for line in always} == {
        'filelock',
        'safetensors',
        'torch',
        'torchvision',
    }
    extras = set(metadata.metadata.get_all('Provides-Extra'))
    assert {'openmmlab', 'onedl', 'cls', 'det', 'seg', 'all', 'dev'} <= extras
    assert extras_with(metadata, 'mmdet==') == {'openmmlab', 'det', 'all'}
    assert extras_with(metadata, 'mmcv-lite==') == {'openmmlab'}
    assert extras_with(metadata, 'onedl-mmdetection==') == {'onedl'}
    # The continuation installs modules of the same names: no extra has both.
    originals = extras_with(metadata, 'mmengine==')
    assert originals == {'openmmlab', 'cls', 'det', 'seg', 'all'}
    assert extras_with(metadata, 'onedl-mmengine==') == {'onedl'}


def extras_with(metadata: importlib.metadata.Distribution, start: str) -> set[str]:
    """The extras that have a requirement which starts so."""
    lines = [line for line in metadata.requires if line.startswith(start)]
    return {re.search(r'extra == ["\'](\w+)', line)[1] for line in lines}


def test_editable_install_links_configs(source: Path, tmp_path: Path) -> None:
    """The wheel points at the tree; there, links make the configs reachable."""
    before = files(source)
    names = build(source, tmp_path, editable=True).namelist()
    assert not [name for name in names if '.mim' in name]
    link = source / 'mmsmt' / '.mim' / 'configs'
    assert link.is_symlink()
    assert link.samefile(source / 'configs')
    assert {name for name in files(source) - before if not name.startswith('mmsmt/.mim')} == set()
    build(source, tmp_path, editable=True)  # a second time finds the links there
    # And a wheel built afterwards still carries copies, not links to a tree that is elsewhere.
    out = tmp_path / 'after'
    out.mkdir()
    assert 'mmsmt/.mim/model-index.yml' in build(source, out).namelist()

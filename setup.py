"""Build step of mmsmt; the metadata is in pyproject.toml.

The OpenMMLab tools look for a package's configs under `<package>/.mim/`, and
`_base_ = 'mmsmt::...'` resolves there. A wheel gets copies, an editable install gets links;
nothing is copied inside the source tree. Both get `mmsmt_ops.pth`, by which Python imports
`mmsmt_ops` when it starts.
"""

import shutil
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
CARRIED = ('configs', 'tools', 'model-index.yml')
START_UP = 'mmsmt_ops.pth'


class BuildWithConfigs(build_py):
    """`build_py` that also provides `mmsmt/.mim/`."""

    def run(self) -> None:
        super().run()
        present = [ROOT / name for name in CARRIED if (ROOT / name).exists()]
        packed = Path(self.build_lib)
        if self.editable_mode:
            link_into(ROOT / 'mmsmt' / '.mim', present)
            packed = Path(self.get_finalized_command('install').install_lib)
        else:
            copy_into(packed / 'mmsmt' / '.mim', present)
        (packed / START_UP).write_text('import mmsmt_ops\n')


def copy_into(folder: Path, sources: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if source.is_dir():
            ignore = shutil.ignore_patterns('__pycache__', '*.pyc')
            shutil.copytree(source, folder / source.name, ignore=ignore)
        else:
            shutil.copy2(source, folder)


def link_into(folder: Path, sources: list[Path]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        link = folder / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(Path('..', '..', source.name))


if __name__ == '__main__':
    # A fresh build folder outside the tree: setuptools packs whatever an older one left in ./build.
    with tempfile.TemporaryDirectory(prefix='mmsmt-build-') as build_base:
        setup(
            cmdclass={'build_py': BuildWithConfigs},
            options={'build': {'build_base': build_base}},
        )

"""Archive with everything that a GPU machine without network needs for tests and benchmark.

It contains wheels of this package and of `requirements.txt`, the tests, and `run.py`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAME = 'mmsmt-gpu'  # folder in the archive
SCRIPTS = ('run.py', 'plan.py', 'machine.py', 'reports.py', 'README.md')


def download_wheels(folder: Path, python: str) -> None:
    """Build our wheel and download the others, for a version of Python."""
    pip = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
    build = [*pip, 'wheel', '--no-deps', '--wheel-dir', str(folder), str(ROOT)]
    subprocess.run(build, check=True)
    only = ['--no-deps', '--only-binary=:all:', '--platform', 'any', '--python-version', python]
    wanted = ['--requirement', str(HERE / 'requirements.txt'), '--dest', str(folder)]
    subprocess.run([*pip, 'download', *only, *wanted], check=True)


def describe_commit() -> str:
    command = ['git', 'describe', '--always', '--dirty', '--exclude=*']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def pack(archive: Path, python: str) -> list[str]:
    """Write the archive; return the names of the wheels in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / NAME
        (folder / 'wheels').mkdir(parents=True)
        download_wheels(folder / 'wheels', python)
        for script in SCRIPTS:
            shutil.copy2(HERE / script, folder)
        shutil.copy2(ROOT / 'pyproject.toml', folder)
        left = shutil.ignore_patterns('__pycache__', '*.pyc')
        shutil.copytree(ROOT / 'tests', folder / 'tests', ignore=left)
        wheels = sorted(file.name for file in (folder / 'wheels').iterdir())
        about = {'commit': describe_commit(), 'python': python, 'wheels': wheels}
        (folder / 'about.json').write_text(json.dumps(about, indent=1) + '\n')
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, 'w:gz') as file:
            file.add(folder, NAME)
    return wheels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--out', type=Path, default=Path('work_dirs/mmsmt-gpu.tar.gz'), help='(%(default)s)')
    add('--python', default='3.12', help='version on the GPU machine (%(default)s)')
    args = parser.parse_args()
    wheels = pack(args.out, args.python)
    size = args.out.stat().st_size / 2**20
    print(f'{args.out}: {size:.1f} MiB, {len(wheels)} wheels')


if __name__ == '__main__':
    main()

"""Test mmsmt with the versions in each row of the version matrix (rows.py), and write its table.

    python dev/matrix/run.py newest onedl --delete
    python dev/matrix/run.py compiled --environment .venv
    python dev/matrix/run.py --table docs/_matrix.md

Each row gets a virtual environment in --folder, and its result is `results/<row>.json` there. Rows
without a result are marked `not run` in the table. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rows import ROWS, TESTS, TORCHVISION, Row

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'mmsmt'
LIMIT_S = 3600
BEGIN, END = '<!-- matrix: begin -->', '<!-- matrix: end -->'
TOOLS = 'pytest pytest-xdist hypothesis coverage wheel scikit-learn pillow'
DESCRIBE = """
import importlib.metadata as metadata, json, mmcv._ext, mmsmt, numpy, platform, torch
continued = 'onedl-mmengine' in {each.metadata['Name'] for each in metadata.distributions()}
compiled = not mmcv._ext.__file__.endswith('extension.py')
print(json.dumps({
    'python': platform.python_version(), 'torch': torch.__version__, 'numpy': numpy.__version__,
    'hosts': 'onedl' if continued else 'openmmlab',
    'operators': 'compiled' if compiled else 'mmsmt.ops', 'mmsmt': mmsmt.__file__,
}))
"""


class NotRun(Exception):
    """The reason why the tests of a row were not run."""


def call(command: list[str], what: str, log: Path) -> None:
    """Run a command with its output in the log; raise NotRun if it fails."""
    with log.open('a') as out:
        print('$', *command, file=out, flush=True)
        done = subprocess.run(command, stdout=out, stderr=out, cwd=ROOT, timeout=LIMIT_S)
    if done.returncode:
        raise NotRun(f'{what} failed, see {log}')


def wanted(row: Row) -> list[str]:
    """Return pip's last packages: mmsmt with its extras, and the mmcv of the row."""
    if row.operators == 'mmsmt.ops':
        return ['-e', f'.[{row.hosts}]']
    versions = f'mmcv-*_torch-{row.torch}*_cp{row.python.replace(".", "")}_*'
    for wheel in CACHE.glob(f'wheelhouse/{versions}/mmcv-*.whl'):  # `make setup` compiled it
        return [str(wheel), 'setuptools<82', '-e', '.[cls,det,seg]']
    raise NotRun('the wheelhouse has no compiled mmcv for these versions')


def build(row: Row, folder: Path, given: str | None, log: Path) -> str:
    """Make the environment of a row and return its interpreter."""
    packages = wanted(row)
    own = row.python == f'{sys.version_info[0]}.{sys.version_info[1]}'
    base = given or (sys.executable if own else shutil.which(f'python{row.python}'))
    if base is None:
        raise NotRun(f'Python {row.python} was not found: pass it with --python')
    call([base, '-m', 'venv', '--clear', str(folder)], 'venv', log)
    python, held = str(folder / 'bin' / 'python'), folder / 'constraints.txt'
    versions = [f'torch=={row.torch}', f'torchvision=={TORCHVISION[row.torch]}']
    versions += [f'numpy=={row.numpy}.*']
    held.write_text('\n'.join(versions))
    pip = [python, '-m', 'pip', 'install', '--disable-pip-version-check', '-c', str(held)]
    call([*pip, *versions, *TOOLS.split()], 'installing torch', log)
    call([*pip, *packages], 'installing mmsmt', log)
    return python


def describe(row: Row, python: str) -> dict:
    """Return the installed versions; raise NotRun if they are not those of the row."""
    here = Path(python).parent  # not in this checkout, whose package would be imported
    said = subprocess.run([python, '-c', DESCRIBE], cwd=here, capture_output=True, text=True)
    if said.returncode:
        raise NotRun(f'imports fail: {said.stderr.strip().splitlines()[-1]}')
    found = json.loads(said.stdout.splitlines()[-1])
    for key, want in row._asdict().items():
        if key != 'name' and not found[key].startswith(want):
            raise NotRun(f'{key} is {found[key]}, expected {want}')
    if not Path(found.pop('mmsmt')).is_relative_to(ROOT):
        raise NotRun('the environment has mmsmt from another folder')
    return found


def test(python: str, arguments: list[str], log: Path) -> dict:
    """Run pytest and return how many tests passed and failed, and which failed."""
    command = [python, '-m', 'pytest', '-q', '-n2', '--dist=worksteal', '-pno:cacheprovider']
    env = {'OMP_NUM_THREADS': '1', **os.environ, 'PYTHONPATH': str(ROOT)}
    with log.open('a') as out:
        command += arguments
        done = subprocess.run(command, stdout=out, stderr=out, cwd=ROOT, env=env, timeout=LIMIT_S)
    said = log.read_text(errors='replace')
    counts = {word: int(n) for n, word in re.findall(r'(\d+) (\w+)', said.splitlines()[-1])}
    if done.returncode not in (0, 1) or 'passed' not in counts:  # 2: interrupted
        raise NotRun(f'pytest did not finish, see {log}')
    failures = re.findall(r'^(?:FAILED|ERROR) (.+?)(?: - .*)?$', said, re.MULTILINE)
    failed = sum(counts.get(word, 0) for word in ('failed', 'error', 'errors'))
    return {'passed': counts['passed'], 'failed': failed, 'failures': failures}


def run(row: Row, options: argparse.Namespace) -> dict:
    """Build and test one row, and write its result."""
    results, folder = options.folder / 'results', options.folder / row.name
    results.mkdir(parents=True, exist_ok=True)
    log = results / f'{row.name}.log'
    log.unlink(missing_ok=True)
    result = {'row': row._asdict(), 'tests': options.tests, 'date': time.strftime('%Y-%m-%d')}
    begin = time.monotonic()
    try:
        if options.environment:
            python = str(options.environment.absolute() / 'bin' / 'python')
        else:
            python = build(row, folder, options.python, log)
        result['found'] = describe(row, python)
        result |= test(python, TESTS[options.tests], log)
    except (NotRun, subprocess.TimeoutExpired) as reason:
        result['not_run'] = str(reason)
    if options.delete:
        shutil.rmtree(folder, ignore_errors=True)
    result['seconds'] = round(time.monotonic() - begin)
    (results / f'{row.name}.json').write_text(json.dumps(result, indent=2) + '\n')
    print(f'{row.name}: {result.get("not_run") or verdict(result)}', flush=True)
    return result


def verdict(result: dict) -> str:
    """Return the cell of the table for a result."""
    if 'passed' not in result:
        return 'not run'
    failed = f'{result["failed"]} failed, ' if result['failed'] else ''
    return f'{failed}{result["passed"]:,} passed'


def write_table(results: Path, page: Path) -> None:
    """Write the table of all rows between the markers of a page, or to a new page."""
    lines = ['| Python | PyTorch | NumPy | hosts | operators of mmcv | tests |', '|' + '---|' * 6]
    for row in ROWS:
        path = results / f'{row.name}.json'
        result = json.loads(path.read_text()) if path.exists() else {}
        lines.append(f'| {" | ".join([*row[1:], verdict(result)])} |')
    text = page.read_text() if page.exists() else f'{BEGIN}\n{END}\n'
    before, after = text.split(BEGIN)[0], text.split(END)[-1]
    page.write_text('\n'.join([f'{before}{BEGIN}', *lines, f'{END}{after}']))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rows = {row.name: row for row in ROWS}
    parser.add_argument('rows', nargs='*', metavar='ROW', help=f'among {", ".join(rows)}')
    parser.add_argument('--tests', choices=TESTS, default='main')
    parser.add_argument('--python', help='interpreter to create environments with')
    parser.add_argument(
        '--environment', type=Path, help='test this environment instead of creating one'
    )
    parser.add_argument('--folder', type=Path, default=CACHE / 'matrix', help='output folder')
    parser.add_argument('--delete', action='store_true', help='delete environments after the tests')
    parser.add_argument('--table', type=Path, metavar='PAGE', help='write the table of all results')
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    if unknown := [name for name in options.rows if name not in rows]:
        parser.error(f'unknown row {unknown[0]!r}; known: {", ".join(rows)}')
    results = [run(rows[name], options) for name in options.rows]
    if options.table:
        write_table(options.folder / 'results', options.table)
    return int(any(result.get('failed', 1) for result in results))


if __name__ == '__main__':
    sys.exit(main())

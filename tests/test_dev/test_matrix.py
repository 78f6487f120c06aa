"""The version matrix: every row can be asked for, and nothing is claimed that did not pass."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / 'dev/matrix'))
    monkeypatch.delitem(sys.modules, 'run', raising=False)
    return __import__('run')


def test_rows_have_names_of_their_own_and_a_torchvision(matrix: ModuleType) -> None:
    assert len({row.name for row in matrix.ROWS}) == len({row[1:] for row in matrix.ROWS})
    assert {row.torch for row in matrix.ROWS} <= set(matrix.TORCHVISION)


def test_the_workflow_runs_every_row_that_needs_no_compiled_wheel(matrix: ModuleType) -> None:
    text = (ROOT / '.github/workflows/matrix.yml').read_text()
    rows = set(re.findall(r"\{ row: (\S+), python: '(\S+)' \}", text))
    lite = {(row.name, row.python) for row in matrix.ROWS if row.operators == 'mmsmt.ops'}
    assert rows == lite


def test_what_did_not_pass_is_not_claimed(matrix: ModuleType, tmp_path: Path) -> None:
    first, second, third, *_ = matrix.ROWS
    (tmp_path / f'{first.name}.json').write_text(json.dumps({'passed': 1585, 'failed': 0}))
    (tmp_path / f'{second.name}.json').write_text(json.dumps({'passed': 9, 'failed': 2}))
    (tmp_path / f'{third.name}.json').write_text(json.dumps({'not_run': 'no Python'}))
    page = tmp_path / 'page.md'
    page.write_text(f'before\n{matrix.BEGIN}\nold\n{matrix.END}\nafter\n')
    for _ in range(2):
        matrix.write_table(tmp_path, page)
    lines = page.read_text().splitlines()
    assert lines[:2] == ['before', matrix.BEGIN] and lines[-2:] == [matrix.END, 'after']
    cells = [line.split(' | ')[-1].rstrip(' |') for line in lines[4:-2]]
    assert cells[:4] == ['1,585 passed', '2 failed, 9 passed', 'not run', 'not run']
    assert len(cells) == len(matrix.ROWS)


def test_an_environment_of_other_versions_is_refused(
    matrix: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {'python': '3.11.7', 'torch': '2.14.1', 'numpy': '2.4.6', 'hosts': 'onedl'}
    found |= {'operators': 'mmsmt.ops', 'mmsmt': str(ROOT / 'mmsmt/__init__.py')}
    monkeypatch.setattr(matrix, 'DESCRIBE', f'print({json.dumps(json.dumps(found))})')
    row = matrix.Row('x', '3.11', '2.14.1', hosts='onedl')
    assert matrix.describe(row, sys.executable)['numpy'] == '2.4.6'
    with pytest.raises(matrix.NotRun, match=r'numpy is 2\.4\.6, expected 1\.26'):
        matrix.describe(row._replace(numpy='1.26'), sys.executable)
    other = json.dumps(json.dumps(found | {'mmsmt': '/elsewhere/mmsmt/__init__.py'}))
    monkeypatch.setattr(matrix, 'DESCRIBE', f'print({other})')
    with pytest.raises(matrix.NotRun, match='mmsmt from another folder'):
        matrix.describe(row, sys.executable)


def test_failed_tests_are_counted_and_an_end_without_verdict_is_none(
    matrix: ModuleType, tmp_path: Path
) -> None:
    python = tmp_path / 'python'
    lines = 'FAILED tests/test_it.py::test_it[a] - AssertionError: it', '1 failed, 2 passed in 3s'
    python.write_text('#!/bin/sh\n' + ''.join(f'echo "{line}"\n' for line in lines))
    python.chmod(0o755)
    result = matrix.test(str(python), [], tmp_path / 'row.log')
    failures = ['tests/test_it.py::test_it[a]']
    assert result == {'passed': 2, 'failed': 1, 'failures': failures}
    for said, status in [('no tests ran in 0.01s', 0), ('2 passed in 3s', 2)]:  # 2: interrupted
        python.write_text(f'#!/bin/sh\necho "{said}"\nexit {status}\n')
        with pytest.raises(matrix.NotRun, match='pytest did not finish'):
            matrix.test(str(python), [], tmp_path / 'row.log')

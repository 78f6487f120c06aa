"""Scripts for a GPU machine: pins, plan, time limits, and what the summary says."""

import re
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from mmsmt.benchmark import command
from mmsmt.benchmark.contenders import find_contenders
from mmsmt.benchmark.groups import groups_of

ROOT = Path(__file__).parents[2]
PIN = re.compile(r'^([\w.-]+)==(\S+)', re.MULTILINE)


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / 'dev/gpu'))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__(name)


def pins(*files: Path) -> set[tuple[str, str]]:
    return {(n.lower(), v) for file in files for n, v in PIN.findall(file.read_text())}


def test_pins_are_those_of_the_environment() -> None:
    known = pins(*(ROOT / 'requirements').rglob('*.txt'))
    assert pins(ROOT / 'dev/gpu/requirements.txt') <= known


def test_every_part_is_a_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arguments are understood, and each of its shapes and steps has something to measure."""
    plan = load('plan', monkeypatch)
    for part in plan.PARTS:
        monkeypatch.setattr(sys, 'argv', ['benchmark', *part.arguments('cuda')])
        args = command.parse_args()
        shapes = [command.parse_shape(text) for text in args.shapes]
        groups = list(groups_of(find_contenders(args.models), shapes, args.steps, args.ways))
        assert len(groups) == 6
    assert {part.dtype for part in plan.PARTS} == {'float32', 'tf32', 'float16', 'bfloat16'}
    assert [part.name for part in plan.parts_named(['eager-tf32'])] == ['eager-tf32']
    with pytest.raises(SystemExit, match="unknown part 'eager'; known: eager-bfloat16,"):
        plan.parts_named(['eager'])


def test_a_command_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the processes that it has started; what it has said is kept."""
    machine = load('machine', monkeypatch)
    child = tmp_path / 'child'
    started = f'import time; time.sleep(3); open({str(child)!r}, "w")'
    code = 'import subprocess, sys; print("one", flush=True)\n'
    code += f'subprocess.run([sys.executable, "-c", {started!r}])'
    start = time.monotonic()
    log = tmp_path / 'logs' / 'log'
    assert machine.run_for(['-c', code], 1.5, log, machine.environment(tmp_path)) is None
    assert time.monotonic() - start < 3
    assert machine.run_for(['-c', 'raise SystemExit(3)'], 60, log, {}) == 3
    time.sleep(2)
    assert log.read_text() == 'one\n' and not child.exists()


XML = """<testsuites><testsuite>
<testcase classname="tests.a" name="good" time="1.5"/>
<testcase classname="tests.a" name="bad" time="0.5">
<failure message="E  1 != 2&#10;more"/></testcase>
<testcase classname="tests.a" name="lost" time="0"><error message="no fixture"/></testcase>
<testcase classname="tests.a" name="later" time="0"><skipped message="no card"/></testcase>
</testsuite></testsuites>"""


def test_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = load('reports', monkeypatch)
    (tmp_path / 'a.xml').write_text(XML)
    found = reports.read_tests(tmp_path / 'a.xml', 1)
    assert (found['passed'], len(found['failed']), len(found['skipped'])) == (1, 2, 1)
    assert found['seconds'] == 2 and found['state'] == 'failed'
    late = reports.read_tests(tmp_path / 'none.xml', None)
    assert late['state'] == 'time was over' and late['passed'] == 0
    assert reports.read_tests(tmp_path / 'none.xml', -11)['state'] == 'crashed'
    done = tmp_path / 'benchmark' / 'eager'
    done.mkdir(parents=True)
    (done / 'benchmark.md').write_text('### a table\n')
    parts = {'eager': 'finished', 'compiled': 'the time was over'}
    reports.write_summary(tmp_path, {'gpu': 'A card'}, {'a.py': found, 'b.py': late}, parts)
    said = (tmp_path / 'summary.md').read_text()
    for line in (
        'gpu A card.',
        '| a.py | 1 | 2 | 1 | 2 | failed |',
        '* `tests.a::bad`: E  1 != 2',
        '### a table',
        'No results; see `compiled.log`.',
    ):
        assert line in said.splitlines(), line

"""Summary of tests and benchmark as JSON and Markdown, rewritten after every part."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

HEADER = ('tests', 'passed', 'failed', 'skipped', 'seconds', 'state')


def read_tests(xml: Path, status: int | None) -> dict[str, Any]:
    """Return the results in a file of pytest; incomplete if pytest did not finish."""
    state = {0: 'passed', 1: 'failed', 5: 'no tests', None: 'time was over'}.get(status, 'crashed')
    found: dict[str, Any] = {'state': state, 'passed': 0, 'failed': [], 'skipped': [], 'seconds': 0}
    if not xml.is_file():
        return found
    for case in ElementTree.parse(xml).iter('testcase'):
        name = f'{case.get("classname")}::{case.get("name")}'
        found['seconds'] += float(case.get('time', 0))
        wrong = case.find('failure') if case.find('failure') is not None else case.find('error')
        skipped = case.find('skipped')
        if wrong is not None:
            said = (wrong.get('message') or '').splitlines() or ['']
            found['failed'].append({'test': name, 'message': said[0][:300]})
        elif skipped is not None:
            found['skipped'].append({'test': name, 'message': skipped.get('message', '')})
        else:
            found['passed'] += 1
    return found


def write_summary(
    out: Path,
    machine: dict[str, Any],
    tests: dict[str, dict[str, Any]],
    parts: dict[str, str],
) -> None:
    """Write `summary.json` and `summary.md`.

    Args:
        out: Folder of the results; the tables of a part are in `benchmark/<part>/benchmark.md`.
        machine: See `describe_machine`.
        tests: Results by file, see `read_tests`.
        parts: State of every part of the benchmark.
    """
    summary = {'machine': machine, 'tests': tests, 'benchmark': parts}
    (out / 'summary.json').write_text(json.dumps(summary, indent=1) + '\n')
    lines = ['# Tests and benchmark on a GPU', '', _facts(machine), '']
    if tests:
        lines += [
            '## Tests',
            '',
            *_table([HEADER, *(_row(*item) for item in sorted(tests.items()))]),
            '',
        ]
    for one in tests.values():
        lines += [f'* `{failed["test"]}`: {failed["message"]}' for failed in one['failed']]
    for name, state in parts.items():
        table = out / 'benchmark' / name / 'benchmark.md'
        text = table.read_text() if table.is_file() else f'No results; see `{name}.log`.\n'
        lines += ['', f'## {name}', '', f'{state}.', '', text.rstrip()]
    (out / 'summary.md').write_text('\n'.join(lines) + '\n')


def _facts(machine: dict[str, Any]) -> str:
    return ', '.join(f'{key} {value}' for key, value in machine.items()) + '.'


def _row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    counts = (found['passed'], len(found['failed']), len(found['skipped']))
    return name, *map(str, counts), f'{found["seconds"]:.0f}', found['state']


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f'| {" | ".join(row)} |' for row in rows]
    return [lines[0], '|---' * len(rows[0]) + '|', *lines[1:]]

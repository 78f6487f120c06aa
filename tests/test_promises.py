"""docs/promises.md: its tests exist, and no page that promises is left out."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'promises.md').read_text()
SILENT = {'promises', 'licences'}  # they promise nothing themselves


def test_named_tests_exist() -> None:
    named = re.findall(r'`(\S+?\.py)::(test_\w+)`', PAGE)
    assert len(named) > 60
    lost = [
        f'{path}::{name}'
        for path, name in named
        if not (ROOT / 'tests' / path).is_file()
        or not re.search(rf'^def {name}\(', (ROOT / 'tests' / path).read_text(), re.MULTILINE)
    ]
    assert not lost


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r'\| (?!promise)\w|\| `', line)]
    assert len(rows) > 40
    assert not [row for row in rows if '.py::test_' not in row]


def test_every_page_is_there() -> None:
    pages = {path.stem for path in (ROOT / 'docs').glob('*.md')} - SILENT
    linked = set(re.findall(r'^## .*$', PAGE, re.MULTILINE))
    titles = ' '.join(linked)
    assert not [name for name in pages if f'({name}.md)' not in titles]
    assert 'README' in titles and 'SECURITY' in titles

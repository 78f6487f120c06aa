"""The site: it builds strictly, its links lead somewhere, and it has what other files give it."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import site_docstrings
import site_hooks

from mmsmt.cli import COMMANDS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of MkDocs ends the build."""
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(folder)]
    environment = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    return folder


class Links(HTMLParser):
    """Addresses that a page names, and the places in it that others can name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ('href', 'src') and value:
                self.targets.append(value)
            elif name == 'id' and value:
                self.anchors.add(value)


@pytest.mark.slow
def test_no_link_is_broken(site: Path) -> None:
    pages = {path: Links(path.read_text()) for path in site.rglob('*.html')}
    assert len(pages) > 100
    broken = []
    for page, links in pages.items():
        if page.name == '404.html':  # its addresses start at the root
            continue
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            path = path / 'index.html' if path.is_dir() else path
            known = path in pages and (not parts.fragment or parts.fragment in pages[path].anchors)
            if not known and not (path.is_file() and path not in pages):
                broken.append(f'{page.relative_to(site)}: {target}')
    assert not broken


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob('*.html'):
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(http[^"]*)', page.read_text()
        )
        assert not loaded, page


@pytest.mark.slow
def test_search_finds_pages_and_not_sources(site: Path) -> None:
    index = (site / 'search' / 'search_index.json').read_text()
    for words in ('models/smt/', 'reference/commands/#mmsmt-export', 'mmsmt.backbones.SMT'):
        assert words in index
    assert '"location":"source/' not in index


def test_commands_have_their_help() -> None:
    page = site_hooks.render_commands()
    for name in COMMANDS:
        assert f'## mmsmt {name}\n\n```text\nusage: mmsmt {name} ' in page
    assert str(Path.home()) not in page and str(ROOT) not in page


def test_pages_use_options_that_exist() -> None:
    pages = [*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')]
    helps = {name: site_hooks.command_help(name) for name in COMMANDS}
    wrong, seen = [], 0
    for page in pages:
        code = re.findall(r'```\w*\n(.*?)```|`([^`\n]+)`', page.read_text(), re.S)
        lines = '\n'.join(a or b for a, b in code).replace('\\\n', ' ').splitlines()
        for words in (line.partition('#')[0].split() for line in lines):
            if words[:1] != ['mmsmt'] or len(words) < 2:
                continue
            name = next(n for n in (' '.join(words[1:3]), words[1]) if n in COMMANDS)
            options = [word.partition('=')[0] for word in words if word.startswith('--')]
            wrong += [f'{page}: {name} {o}' for o in options if o not in helps[name]]
            seen += len(options)
    assert not wrong and seen > 30


@pytest.mark.parametrize(
    ('uri', 'link', 'there'),
    [
        (
            'guides/train.md',
            '../../configs/cls/smt_t_in1k.py',
            '../source/configs/cls/smt_t_in1k.py.md',
        ),
        ('guides/train.md', '../../SECURITY.md#reporting', '../notes/security.md#reporting'),
        ('index.md', '../mmsmt/cli.py', 'reference/commands.md'),
        ('guides/train.md', 'weights.md', 'weights.md'),
        ('notes/contributing.md', 'docs/guides/train.md', '../guides/train.md'),
        ('guides/train.md', 'https://arxiv.org', 'https://arxiv.org'),
    ],
)
def test_links_outside_docs(uri: str, link: str, there: str) -> None:
    assert site_hooks.point_links(f'[x]({link})', uri) == f'[x]({there})'


def test_arguments_that_share_an_entry() -> None:
    text = 'Args:\n    a: One.\n    b, c,\n        d: Two\n        lines.\n\nRaises:\n    X: Y.'
    assert site_docstrings.split_entries(text).splitlines()[2:8] == [
        '    b: Two',
        '        lines.',
        '    c: Two',
        '        lines.',
        '    d: Two',
        '        lines.',
    ]


@pytest.mark.parametrize(
    'name', ['smt_block', 'smt_stages', 'sg_former_block', 'unified_block', 'code_layout']
)
def test_diagrams_are_up_to_date(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the code has changed: python dev/figures/diagrams.py."""
    pytest.importorskip('tomllib')
    monkeypatch.syspath_prepend(str(ROOT / 'dev' / 'figures'))
    getattr(__import__('diagrams'), name)().save(tmp_path / 'drawn.svg')
    kept = ROOT / 'docs' / 'assets' / f'{name}.svg'
    assert (tmp_path / 'drawn.svg').read_text() == kept.read_text()

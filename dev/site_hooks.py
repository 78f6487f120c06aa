"""Hooks of the site: pages made from other files, and links to files outside docs/.

`mkdocs.yml` names this module. Pages link to repository files by relative path, as GitHub shows
them; on the site such a link leads to a page with the file's text.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# Files at the root that are pages of the site.
ROOT_PAGES = {
    'CHANGELOG.md': 'notes/changelog.md',
    'CONTRIBUTING.md': 'notes/contributing.md',
    'SECURITY.md': 'notes/security.md',
}
# Repository files that a page of the site stands for.
SHOWN = {**ROOT_PAGES, 'mmsmt/cli.py': 'reference/commands.md'}
LINK = re.compile(r'(\]\()((?!\w+:|#|/)[^)\s#]+)(#[^)\s]*)?(\))')
LANGUAGES = {'.py': 'python', '.sh': 'bash', '.yml': 'yaml', '.toml': 'toml', '.cff': 'yaml'}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the commands page, the root's pages and a page for each file that a page links to."""
    commands = File.generated(config, 'reference/commands.md', content=render_commands())
    files.append(commands)
    for name, uri in ROOT_PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text()))
    linked = set()
    for file in files.documentation_pages():
        for target in outside_links(file.content_string, origin(file.src_uri)):
            linked.add(target)
    for name in sorted(linked):
        files.append(File.generated(config, source_page(name), content=render_source(name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the pages of this site."""
    return point_links(markdown, page.file.src_uri)


def point_links(markdown: str, uri: str) -> str:
    """Replace links to repository files, in the page `uri`, by links to pages of the site."""
    folder = origin(uri)

    def replace(link: re.Match) -> str:
        shown = page_of(resolve(link[2], folder))
        if shown is None:
            return link[0]
        target = posixpath.relpath(shown, posixpath.dirname(uri) or '.')
        return f'{link[1]}{target}{link[3] or ""}{link[4]}'

    return LINK.sub(replace, markdown)


def origin(uri: str) -> str:
    """The repository folder that a page's relative links start from."""
    if uri in ROOT_PAGES.values():
        return ''
    return posixpath.dirname(f'docs/{uri}')


def resolve(target: str, folder: str) -> str:
    """A relative link as a path from the repository's root."""
    return posixpath.normpath(posixpath.join(folder, target))


def page_of(path: str) -> str | None:
    """The page or asset of the site that shows a repository file."""
    if path.startswith('docs/'):
        return path.removeprefix('docs/')
    if path in SHOWN:
        return SHOWN[path]
    return source_page(path) if (ROOT / path).is_file() else None


def outside_links(markdown: str, folder: str) -> Iterator[str]:
    """Repository files outside docs/ that a page links to and that are no page themselves."""
    for link in LINK.finditer(markdown):
        path = resolve(link[2], folder)
        if not path.startswith(('docs/', '..')) and path not in SHOWN:
            if (ROOT / path).is_file():
                yield path


def source_page(path: str) -> str:
    return f'source/{path}.md'


def render_source(path: str) -> str:
    """A page with the text of a file; search leaves it out."""
    text = (ROOT / path).read_text()
    head = f'---\nsearch:\n  exclude: true\nhide: [navigation, toc]\n---\n# {path}\n\n'
    return f'{head}````{LANGUAGES.get(Path(path).suffix, "text")}\n{text}````\n'


def render_commands() -> str:
    """The commands of `mmsmt` and the help of each."""
    from mmsmt.cli import COMMANDS

    # Guides come first in the search: they say what a command is for.
    lines = [
        '---',
        'search:',
        '  boost: 0.5',
        '---',
        '# Commands',
        '',
        '| command | does |',
        '|---|---|',
    ]
    lines += [
        f'| [`mmsmt {name}`](#mmsmt-{name.replace(" ", "-")}) | {text} |'
        for name, (_, text) in COMMANDS.items()
    ]
    lines += [
        '',
        'Every command works in any folder. A wrong argument ends with one line and status 1 or 2;',
        'set `MMSMT_TRACEBACK=1` to see the traceback.',
        '',
    ]
    for name in COMMANDS:
        lines += [f'## mmsmt {name}', '', '```text', command_help(name), '```', '']
    return '\n'.join(lines)


def command_help(name: str) -> str:
    """What `mmsmt NAME --help` prints."""
    from mmsmt.cli import main

    out = io.StringIO()
    arguments = ['mmsmt', *name.split(), '--help']
    with (
        mock.patch.object(sys, 'argv', arguments),
        mock.patch.dict(os.environ, COLUMNS='88'),
        contextlib.redirect_stdout(out),
        contextlib.suppress(SystemExit),
    ):
        main()
    return out.getvalue().rstrip()

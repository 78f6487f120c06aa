"""The console script: its table names every tool, and a command runs from any folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmsmt.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'SECURITY.md', *sorted((ROOT / 'docs').rglob('*.md'))]


def test_the_table_names_every_tool() -> None:
    tools = {str(path.relative_to(ROOT / 'tools')) for path in (ROOT / 'tools').rglob('*.py')}
    assert {file for file, _ in COMMANDS.values()} == tools


@pytest.mark.parametrize('arguments', [[], ['--help']], ids=str)
def test_help_is_a_line_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', ['mmsmt', *arguments])
    main()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [re.split(r' {2,}', line.strip())[0] for line in lines] == list(COMMANDS)
    assert all(re.fullmatch(r'  \S.* {2,}\w.*', line) for line in lines)


@pytest.mark.parametrize('arguments', [['fly'], ['check'], ['check', 'weather']], ids=str)
def test_an_unknown_command_is_an_error(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, 'argv', ['mmsmt', *arguments])
    with pytest.raises(SystemExit, match=f"^error: unknown command '{' '.join(arguments)}'\n"):
        main()


def test_a_command_runs_from_any_folder(tmp_path: Path) -> None:
    config = "_base_ = 'mmsmt::_base_/backbones/smt_pico.py'\nmodel = 1"
    (tmp_path / 'mine.py').write_text(config)
    command = [sys.executable, '-m', 'mmsmt', 'check', 'config', 'mine.py']
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 1 and said.stdout.startswith('mine.py: '), said.stderr
    said = subprocess.run([*command[:-1], '--help'], cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout.startswith('usage: mmsmt check config '), said.stderr


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_commands_and_files_that_exist(page: Path) -> None:
    text = page.read_text()
    code = '\n'.join(a or b for a, b in re.findall(r'```\w*\n(.*?)```|`([^`\n]+)`', text, re.S))
    named = re.findall(r'(?:^|\s)mmsmt ([a-z]+(?: [a-z-]+)?)', code, re.M)
    wrong = [name for name in named if not {name, name.split()[0]} & set(COMMANDS)]
    assert not wrong
    files = re.findall(r'(?:^|[\s`(])((?:tools|dev|configs|mmsmt|tests)/[\w./-]+\.(?:py|sh))', text)
    files += [str(link) for link in re.findall(r'\]\(((?!http|#)[^)#\s]+)', text)]
    gone = [f for f in files if not (page.parent / f).exists() and not (ROOT / f).exists()]
    assert not gone

"""Tools run in the process of the tests, which have imported the hosts already."""

import logging
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[object, str, str]]:
    """Run a tool by name with arguments; give exit status, stdout, stderr."""
    monkeypatch.setattr(logging.root.manager, 'disable', logging.NOTSET)  # the tools set it

    def tool(name: str, *arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        status: object = 0
        try:
            runpy.run_path(str(next(TOOLS.rglob(f'{name}.py'))), run_name='__main__')
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return tool

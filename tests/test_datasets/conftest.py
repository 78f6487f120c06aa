"""A small prepared data set, written once for all tests that read it."""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmsmt.datasets.digits import Parameters, prepare_digits

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'dataset_converters' / 'prepare_digits.py'


@pytest.fixture(scope='session')
def parameters() -> Parameters:
    return Parameters(scenes_train=12, scenes_val=6, size=256, renderings=1, seed=3)


@pytest.fixture(scope='session')
def prepared(tmp_path_factory: pytest.TempPathFactory, parameters: Parameters) -> Path:
    """The root of a written data set; tests must not change it."""
    out = tmp_path_factory.mktemp('prepared') / 'digits'
    prepare_digits(out, parameters)
    return out


@pytest.fixture
def start_tool() -> Callable[..., subprocess.Popen]:
    """Start the command in a process of its own; the caller waits for it."""

    def start(*arguments: object) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, str(TOOL), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, 'PYTHONPATH': str(ROOT)},
            # A check server may run us with interrupts ignored, which children inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start


@pytest.fixture
def run_tool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process: its exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(TOOL), run_name='__main__')
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run

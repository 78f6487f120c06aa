"""Set-up: problems are one line, interruptions lose nothing, and a wheel is trusted only if whole.

Nothing here goes to the network or compiles: pip and the compiler are stand-ins.
"""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'dev/environment'
PREFIX = Path(sys.prefix)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, ModuleType]:
    """The modules of set-up, with a cache of their own."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.syspath_prepend(str(TOOLS))
    return {name: __import__(name) for name in ('mmcv_wheel', 'setup_env', 'setup_run')}


def call(code: str, **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, '-c', code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(TOOLS), **env},
        # A check server may run us with interrupts ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def make_wheel(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, 'w') as archive:
        for name in names:
            archive.writestr(name, '')
    return path


def test_finished_environment_returns_at_once(tools: dict[str, ModuleType]) -> None:
    made = [o for o in ('torch', 'compiled') if tools['setup_env'].Environment(PREFIX, o).ready()]
    if not made:
        pytest.skip('these tests run in an environment that make setup did not make or finish')
    begin = time.monotonic()
    command = [sys.executable, TOOLS / 'setup_env.py', '--venv', sys.prefix, '--ops', made[0]]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout, said.stderr) == (0, '', '')
    assert time.monotonic() - begin < 2


def test_state_sees_what_changed_by_hand(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    environment = tools['setup_env'].Environment(tmp_path / 'venv')
    site = tmp_path / 'venv' / 'lib' / 'python3.11' / 'site-packages'
    (site / 'mmcv-2.1.0.dist-info').mkdir(parents=True)
    before = environment.state()
    assert environment.state() == before
    (site / 'mmcv-2.1.0.dist-info').rename(site / 'mmcv-2.2.0.dist-info')
    assert environment.state() != before


def test_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'thesis.tex').write_text('years of work')
    command = [sys.executable, TOOLS / 'setup_env.py', '--venv', tmp_path]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 1
    assert len(said.stderr.splitlines()) == 1
    assert 'is not a virtual environment' in said.stderr
    assert (tmp_path / 'thesis.tex').read_text() == 'years of work'


@pytest.mark.parametrize(
    ('output', 'says'),
    [
        ('WARNING: ... Failed to establish a new connection: [Errno 101]', 'no connection'),
        ('ERROR: Could not find a version that satisfies x (from versions: none)', 'no connection'),
        ('OSError: [Errno 28] No space left on device', 'the disk is full'),
        (
            'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE',
            'another file than the one whose',
        ),
        ('c++: fatal error: Killed signal terminated program cc1plus', 'MAX_JOBS=1'),
    ],
)
def test_known_problem_is_one_line(
    tools: dict[str, ModuleType], tmp_path: Path, output: str, says: str
) -> None:
    command = ['sh', '-c', f'echo "{output}"; exit 1']
    with pytest.raises(tools['setup_run'].Problem, match=says) as caught:
        tools['setup_run'].run(command, tmp_path / 'log', 'installing torch')
    assert len(str(caught.value).splitlines()) == 1


def test_unknown_problem_shows_the_end_of_the_log(
    tools: dict[str, ModuleType], tmp_path: Path
) -> None:
    log = tmp_path / 'log'
    log.write_text('No space left on device, said an earlier run\n')
    command = ['sh', '-c', 'seq 100; echo strange; exit 3']
    with pytest.raises(tools['setup_run'].Problem) as caught:
        tools['setup_run'].run(command, log, 'installing torch')
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f'installing torch failed; its output is in {log}')
    assert lines[1] == '82'
    assert lines[-1] == 'strange'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interruption_is_one_line_and_ends_the_child(tmp_path: Path, number: int) -> None:
    code = f"""
import sys
import setup_env
from pathlib import Path
from setup_run import run

sys.argv = ['setup_env.py', '--venv', '{tmp_path}/venv']
setup_env.Environment.fill = lambda self: run(
    ['sh', '-c', 'echo $$ > {tmp_path}/pid; sleep 60'], Path('{tmp_path}/log'), 'sleeping'
)
sys.exit(setup_env.main())
"""
    process = call(code, XDG_CACHE_HOME=str(tmp_path))
    until(lambda: (tmp_path / 'pid').exists() and (tmp_path / 'pid').read_text().strip())
    time.sleep(0.5)  # set-up has to have got as far as its waiting
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr == 'setup: interrupted; run make setup again to continue\n'
    child = Path('/proc', (tmp_path / 'pid').read_text().strip())
    assert not child.exists()


def until(condition: object, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.02)


def test_a_missing_browser_is_a_note(
    tools: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    setup_env = tools['setup_env']
    monkeypatch.setenv('PATH', str(tmp_path))
    environment = setup_env.Environment(tmp_path / 'venv')
    environment.install_browser()
    said = capsys.readouterr().out
    assert said.count('\n') == 1
    assert 'note: no browser for the tests of the page' in said
    assert said.endswith('apt-get install -y --no-install-recommends chromium\n')
    (tmp_path / 'chromium').write_text('')
    (tmp_path / 'chromium').chmod(0o755)
    environment.install_browser()
    assert capsys.readouterr().out == ''


def test_second_set_up_waits(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from setup_run import locked
with locked(Path('{tmp_path}/lock')):
    Path('{tmp_path}/mine').touch()
"""
    with tools['setup_run'].locked(tmp_path / 'lock'):
        other = call(code)
        assert 'waiting for it' in other.stdout.readline()
        assert not (tmp_path / 'mine').exists()
    other.communicate(timeout=20)
    assert other.returncode == 0
    assert (tmp_path / 'mine').exists()


def test_wheel_counts_only_with_operators(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    wheelhouse = tools['mmcv_wheel']
    (tmp_path / 'mmcv-2.1.0-cut.whl').write_bytes(b'PK\x03\x04 a download that broke off')
    make_wheel(tmp_path / 'mmcv-2.1.0-lite.whl', 'mmcv/__init__.py', 'mmcv/_extra.py')
    assert wheelhouse.find(tmp_path) is None
    name = 'mmcv/_ext.cpython-311-x86_64-linux-gnu.so'
    whole = make_wheel(tmp_path / 'mmcv-2.1.0-whole.whl', 'mmcv/__init__.py', name)
    assert wheelhouse.find(tmp_path) == whole


def goal(tools: dict[str, ModuleType], tmp_path: Path) -> tuple:
    header = tmp_path / 'Python.h'
    header.touch()
    return tools['mmcv_wheel'].Target('key', False, header)


def test_no_compiler_is_one_line(
    tools: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.delenv('CXX', raising=False)
    with pytest.raises(tools['setup_run'].Problem, match='no C.. compiler: run .*g..') as caught:
        tools['mmcv_wheel'].check_tools(goal(tools, tmp_path))
    assert len(str(caught.value).splitlines()) == 1


def test_compiled_wheel_appears_whole(
    tools: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in for pip fails once, having left half a wheel, then finishes."""
    wheelhouse = tools['mmcv_wheel']
    ready = make_wheel(tmp_path / 'mmcv-2.1.0-any.whl', 'mmcv/_ext.so')
    python = tmp_path / 'bin' / 'python'
    python.parent.mkdir()
    # Called as: python -m pip wheel <four options and a name> --require-hashes --wheel-dir OUT -r
    python.write_text(
        f'#!/bin/sh\nwhile [ "$1" != --wheel-dir ]; do shift; done\n'
        f'if [ -e {tmp_path}/tried ]; then cp {ready} "$2"\n'
        f'else touch {tmp_path}/tried; echo half > "$2/mmcv-2.1.0-any.whl"; exit 1; fi\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(wheelhouse, 'check_tools', lambda goal: None)

    def compile_wheel() -> Path:
        arguments = (goal(tools, tmp_path), tmp_path / 'house', tmp_path / 'log')
        return wheelhouse.compile_wheel(str(python), *arguments)

    with pytest.raises(tools['setup_run'].Problem):
        compile_wheel()
    assert list((tmp_path / 'house').glob('*')) == []
    assert compile_wheel() == tmp_path / 'house' / ready.name
    assert wheelhouse.find(tmp_path / 'house') is not None


@pytest.mark.parametrize(
    ('status', 'found', 'there'),
    [
        ('ok', 'compiled', True),
        ('FAIL', 'compiled ones do not load into this torch: undefined symbol', False),
        ('ok', 'mmsmt.ops (on a CPU soft-NMS takes 10 times as long)', False),
    ],
)
def test_compiled_operators_count_only_if_they_load(
    tools: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    found: str,
    there: bool,
) -> None:
    doctor = tools['setup_env'].doctor
    result = {'operators': doctor.Result(status, found)}
    monkeypatch.setattr(doctor, 'examine', lambda *_: result)
    assert tools['setup_env'].Environment(tmp_path).has_compiled_operators() == there


def test_key_holds_what_a_wheel_depends_on(
    tools: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "__version__ = '{}'\nclass version:\n    cuda = '13.0'\n"
    body += 'class cuda:\n    is_available = staticmethod(lambda: {})\n'
    body += '    get_device_capability = staticmethod(lambda: (9, 0))\n'
    (tmp_path / 'torch' / 'utils').mkdir(parents=True)
    (tmp_path / 'torch' / 'utils' / '__init__.py').touch()
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setenv('PYTHONDONTWRITEBYTECODE', '1')

    def target(torch: str, gpu: bool, toolkit: str | None) -> tuple:
        (tmp_path / 'torch' / '__init__.py').write_text(body.format(torch, gpu))
        extension = tmp_path / 'torch' / 'utils' / 'cpp_extension.py'
        extension.write_text(f'CUDA_HOME = {toolkit!r}\n')
        return tools['mmcv_wheel'].target(sys.executable)

    python = 'cp{}{}'.format(*sys.version_info)
    cpu = target('2.11.0+cpu', False, '/usr/local/cuda')
    assert cpu.key.startswith(f'mmcv-2.1.0_torch-2.11.0+cpu_{python}_')
    assert cpu.key.endswith('_cpu')
    assert not cpu.with_cuda
    gpu = target('2.11.0+cu130-new', True, '/usr/local/cuda')
    assert gpu.key.endswith('_cu130-sm90')
    assert gpu.with_cuda
    assert target('2.11.0+cu130-new', True, None).key.endswith('_cpu')

"""mmsmt serve: bad input is one line, before anything is served."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from digits_networks import Network, make_network

Run = Callable[..., tuple[object, str, str]]


@pytest.fixture(scope='module')
def net(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return make_network(tmp_path_factory.mktemp('networks'), 'cls')


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (('CONFIG',), 'CONFIG: a config needs a checkpoint'),
        (('a=CONFIG,CHECKPOINT', 'b=CONFIG'), 'CONFIG: a config needs a checkpoint'),
        (('a=CONFIG,CHECKPOINT', 'a=CONFIG,CHECKPOINT'), 'two models are called a'),
        (('gone.py', 'CHECKPOINT'), 'gone.py: no such config file'),
        (('CONFIG', 'gone.pth'), 'gone.pth: no such checkpoint file'),
        (('CONFIG', 'torn.pth'), 'torn.pth: not a readable checkpoint'),
        (('CONFIG', 'CHECKPOINT', '--port', '99999'), '--port 99999: ports are 0 to 65535'),
        (('CONFIG', 'CHECKPOINT', '--host', 'no.such.invalid'), '--host no.such.invalid: no such'),
        (('CONFIG', 'CHECKPOINT', '--host', '203.0.113.1'), '--port 0: cannot listen on 203.0.113'),
        (
            ('CONFIG', 'CHECKPOINT', '--max-upload', 'lots'),
            '--max-upload lots: must be a size such',
        ),
        (('CONFIG', 'CHECKPOINT', '--max-upload', '0MB'), '--max-upload must be positive, got 0'),
        (('CONFIG', 'CHECKPOINT', '--max-frames', '0'), '--max-frames must be positive, got 0'),
        (('CONFIG', 'CHECKPOINT', '--device', 'tea'), '--device tea: '),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, tuple) else '',
)
def test_bad_input(
    run_here: Run,
    net: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'torn.pth').write_bytes(Path(net.checkpoint).read_bytes()[:5000])
    paths = {'CONFIG': net.config, 'CHECKPOINT': net.checkpoint}
    for name, path in paths.items():
        arguments = tuple(word.replace(name, path) for word in arguments)
        says = says.replace(name, path) if says.startswith((name, 'b=')) else says
    before = dict(os.environ), tempfile.tempdir, signal.getsignal(signal.SIGTERM)
    status, said, err = run_here('serve', '--port', '0', *arguments)
    assert (status, said) == (1, '')
    assert err.startswith(f'error: {says}') and err.count('\n') == 1
    assert (dict(os.environ), tempfile.tempdir, signal.getsignal(signal.SIGTERM)) == before


def test_a_port_in_use_is_one_line(run_here: Run, net: Network) -> None:
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        status, said, err = run_here('serve', net.config, net.checkpoint, '--port', port)
    assert (status, said) == (1, '')
    assert err == (
        f'error: --port {port}: cannot listen on 127.0.0.1:{port}; is it in use? '
        '--port 0 chooses a free one\n'
    )


def test_without_the_extra_it_is_named(
    run_here: Run, net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'gradio', None)
    status, said, err = run_here('serve', net.config, net.checkpoint, '--port', '0')
    assert (status, said) == (1, '')
    assert "pip install 'mmsmt[web]'" in err and err.count('\n') == 1

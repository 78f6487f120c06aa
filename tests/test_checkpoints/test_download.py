"""Weights from a URL: fetched once per machine, checked, never half-written."""

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from mmsmt.checkpoints import load_checkpoint
from mmsmt.errors import CheckpointError


def packed() -> bytes:
    buffer = io.BytesIO()
    torch.save({'state_dict': {'weight': torch.arange(1000.0)}}, buffer)
    return buffer.getvalue()


CONTENT = packed()
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]


class Files(BaseHTTPRequestHandler):
    """Gives the file under any name; `/cut/` breaks off in the middle."""

    def __init__(self, asked: list[str], *args: object) -> None:
        self.asked = asked
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(404 if '/none/' in self.path else 200)
        self.send_header('Content-Length', str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if '/cut/' in self.path else CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    """Paths that were asked for."""
    return []


@pytest.fixture
def server(asked: list[str]) -> Iterator[str]:
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Files, asked)) as running:
        Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    return tmp_path / 'hub' / 'checkpoints'


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob('*') if path.suffix != '.lock')


LOAD = 'import sys; from mmsmt.checkpoints import load_checkpoint; load_checkpoint(sys.argv[1])'


@pytest.mark.slow
def test_two_processes_and_three_starts_fetch_once(
    server: str, asked: list[str], cache: Path
) -> None:
    url = f'{server}/smt_t-{HASH}.pth'
    for _ in range(3):
        command = [sys.executable, '-c', LOAD, url]
        ranks = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(2)]
        assert [rank.wait() for rank in ranks] == [0, 0]
    assert asked == [f'/smt_t-{HASH}.pth']
    assert kept(cache) == [f'smt_t-{HASH}.pth']


def test_without_a_connection_the_cache_serves(server: str, cache: Path) -> None:
    url = 'http://127.0.0.1:9/smt_t.pth'
    with pytest.raises(CheckpointError, match=rf'^{url}: cannot be downloaded .* put the file at'):
        load_checkpoint(url)
    assert kept(cache) == []
    (cache / 'smt_t.pth').write_bytes(CONTENT)
    assert load_checkpoint(url)['weight'].sum() == 499500


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('/cut/smt_t.pth', 'not a readable checkpoint'),
        ('/cut/smt_t-0123abcd.pth', 'invalid hash value'),
        ('/smt_t-0123abcd.pth', 'invalid hash value .*the download is damaged or another file'),
        ('/none/smt_t.pth', 'cannot be downloaded .*Not Found'),
        ('/', 'the URL has no file name'),
    ],
)
def test_what_is_wrong_is_not_kept(server: str, cache: Path, path: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=f'^{server}{path}: .*{message}') as caught:
        load_checkpoint(server + path)
    assert '.partial' not in str(caught.value)
    assert kept(cache) == []

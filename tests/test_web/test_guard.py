"""The guard: only the page's own requests pass, and only to files of the page."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('starlette', reason="the page needs pip install 'mmsmt[web]'")

from mmsmt.web.guard import Guard

FOLDER = Path('mmsmt_serve_x').absolute()


async def answers(scope: Any, receive: Any, send: Any) -> None:
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'the page'})


def ask(path: str, host: str = '127.0.0.1:7860', **options: Any) -> tuple[int, dict[bytes, bytes]]:
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    guard = Guard(answers, **{'folder': FOLDER, 'most_bytes': 99, 'loopback': True, **options})
    scope = {'type': 'http', 'path': path, 'method': 'GET', 'headers': [(b'host', host.encode())]}
    asyncio.run(guard(scope, None, keep))
    return sent[0]['status'], dict(sent[0]['headers'])


PASS = ('/', '/config', '/assets/a.js', '/gradio_api/queue/join', '/gradio_api/upload')
STOP = (
    '/gradio_api/file=/etc/passwd',
    f'/gradio_api/file={FOLDER}/../../etc/passwd',
    f'/gradio_api/file={FOLDER}y/a.png',
    '/gradio_api/file=http://127.0.0.1/secret',
    '/gradio_api/proxy=http://127.0.0.1/secret',
    '/gradio_api/run/predict',
    '/monitoring',
    '/gradio_api/process_recording',
    '/assets/../../config.py',
    '/docs',
)


def test_requests_of_the_page_pass() -> None:
    for path in (*PASS, f'/gradio_api/file={FOLDER}/a/b.png'):
        status, headers = ask(path)
        assert status == 200, path
        assert b"default-src 'self'" in headers[b'content-security-policy']


@pytest.mark.parametrize('path', STOP)
def test_others_do_not(path: str) -> None:
    assert ask(path)[0] == 404


@pytest.mark.parametrize('host', ['localhost', 'localhost:80', '[::1]', '[::1]:80', '127.0.0.1'])
def test_names_of_this_machine_pass(host: str) -> None:
    assert ask('/', host)[0] == 200


@pytest.mark.parametrize('host', ['elsewhere.example', 'localhost.example:7860', '', '10.0.0.1'])
def test_other_names_pass_only_if_others_may_connect(host: str) -> None:
    assert ask('/', host)[0] == 403
    assert ask('/', host, loopback=False)[0] == 200


def test_uploads_end_when_the_folder_is_full(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/b').write_bytes(b'?' * 100_000)
    assert ask('/gradio_api/upload', folder=tmp_path, most_bytes=90_000)[0] == 507
    assert ask('/gradio_api/upload', folder=tmp_path, most_bytes=200_000)[0] == 200
    assert ask('/', folder=tmp_path, most_bytes=90_000)[0] == 200

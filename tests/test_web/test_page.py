"""The page in a browser, and requests that no browser makes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

httpx = pytest.importorskip('httpx', reason="the page needs pip install 'mmsmt[web]'")
pytest.importorskip('gradio', reason="the page needs pip install 'mmsmt[web]'")
playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')

BROWSER = 'chromium'
FLAGS = (
    *('--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'),
    *('--disable-background-networking', '--disable-component-update', '--disable-sync'),
)
MODELS = ('cls', 'mask_rcnn', 'upernet')
PATIENCE = 60_000  # ms
pytestmark = pytest.mark.slow


class Server:
    """A server of the page as a process."""

    def __init__(self, *models: str, env: dict[str, str]) -> None:
        options = ('--port', '0', '--device', 'cpu', '--max-upload', '3MB')
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'mmsmt', 'serve', *models, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        line = self.process.stdout.readline()
        found = re.search(r'http://127\.0\.0\.1:\d+', line)
        assert found, line + self.process.stderr.read()
        self.url = found[0]

    def end(self) -> tuple[int, str]:
        """End it as a service manager does; exit status and stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture(scope='module')
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server's temporary files lie."""
    return tmp_path_factory.mktemp('scratch')


@pytest.fixture(scope='module')
def server(network: Callable, scratch: Path) -> Iterator[Server]:
    nets = {task: network(task) for task in MODELS}
    models = [f'{task}={net.config},{net.checkpoint}' for task, net in nets.items()]
    # What a user's environment may hold, and must not matter.
    nowhere = 'http://127.0.0.1:9'
    env = dict(HTTP_PROXY=nowhere, http_proxy=nowhere, GRADIO_SHARE='True', TMPDIR=str(scratch))
    env |= dict(GRADIO_ALLOWED_PATHS='/', GRADIO_MCP_SERVER='True', OMP_NUM_THREADS='1')
    running = Server(*models, env=env)
    assert [each.name.startswith('mmsmt_serve_') for each in scratch.iterdir()] == [True]
    yield running
    status, said = running.end()
    # What requests made by hand ran into, and nothing else.
    ends = re.findall(r'^(?!Traceback|OpenCV: FFMPEG: tag)\S.*', said, re.M)
    assert status == 0 and all(end.startswith('gradio.exceptions.') for end in ends), said
    assert list(scratch.iterdir()) == []


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    path = shutil.which(BROWSER)
    if path is None:
        pytest.skip(f'there is no browser: apt-get install {BROWSER}')
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Callable[[], Any]]:
    """Opens the page as a new visitor; in the end no request may have gone elsewhere."""
    requests: list[str] = []
    visitors = []

    def visit() -> Any:
        visitors.append(browser.new_context(viewport=dict(width=1400, height=900)))
        page = visitors[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on('request', lambda request: requests.append(request.url))
        page.goto(server.url)
        page.get_by_label('Model').wait_for()
        return page

    yield visit
    for visitor in visitors:
        visitor.close()
    hosts = {urlsplit(url).netloc for url in requests if not url.startswith(('data:', 'blob:'))}
    assert len(requests) > 20 and hosts == {urlsplit(server.url).netloc}


def drop(page: Any, file: Path) -> None:
    page.locator('input[type=file]').first.set_input_files(str(file))


def said(page: Any, words: str) -> str:
    """The line below the slider, once it has these words."""
    line = page.locator('#status', has_text=words)
    line.wait_for()
    return line.inner_text()


READ_TABLE = """table => [...table.querySelectorAll('[role=row]')]
    .map(row => [...row.querySelectorAll('[role=gridcell]')].map(cell => cell.innerText.trim()))
    .filter(cells => cells.some(Boolean))"""


def rows(page: Any) -> list[list[str]]:
    """The rows of the table of results that can be seen."""
    return page.locator('#results').evaluate(READ_TABLE)


def total(page: Any) -> int:
    """How many rows it has; the first is its header."""
    return int(page.locator('#results [role=grid]').get_attribute('aria-rowcount')) - 1


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.1)


def test_drop_an_image_read_the_answer_move_the_slider(open_page: Callable, image: Path) -> None:
    page = open_page()
    page.get_by_label('Model').click()
    page.get_by_role('option', name='mask_rcnn').click()
    page.get_by_text('Detections with a lower score').wait_for()
    drop(page, image)
    words = said(page, 'predicted in')
    assert words.startswith('noise.png (128 x 96): predicted in')
    until(lambda: len(rows(page)) > 0)
    first, number = rows(page), total(page)
    assert first[0][0].startswith('digit ') and float(first[0][1]) >= 0.3
    picture = page.locator('#picture img')
    before = picture.get_attribute('src')
    slider = page.locator('input[type=range]')
    slider.focus()
    slider.press('End')  # to 1: above every score
    until(lambda: rows(page) == [])
    until(lambda: picture.get_attribute('src') != before)
    assert said(page, 'predicted in') == words  # of the only run, with its time
    slider.press('Home')
    until(lambda: total(page) == number)
    page.get_by_role('tab', name='Modulation').click()
    page.locator('#modulation img').wait_for()
    assert not page.get_by_role('tab', name='Significance').is_visible()


def test_each_task_and_a_video(open_page: Callable, image: Path, clip: Path) -> None:
    page = open_page()
    drop(page, image)
    until(lambda: len(rows(page)) == 10)
    page.get_by_label('Model').click()
    page.get_by_role('option', name='upernet').click()  # looks at the same image again
    until(lambda: len(rows(page)) not in (0, 10) or rows(page)[0][-1].endswith('%'))
    assert sum(int(row[1]) for row in rows(page)) == 128 * 96
    page.get_by_label('Clear').first.click()
    said(page, 'Drop an image')
    drop(page, clip)
    said(page, 'clip.avi (128 x 96): 6 frames in')
    video = page.locator('#video video')
    video.wait_for()
    until(lambda: video.evaluate('video => video.readyState') >= 2)  # it has decoded a frame
    assert video.evaluate('video => [video.videoWidth, video.error]') == [768, None]


def test_what_is_no_picture_is_said_in_words(
    open_page: Callable, tmp_path: Path, claiming: Callable, server: Server
) -> None:
    page = open_page()
    (tmp_path / 'notes.jpg').write_text('to do: nothing')
    drop(page, tmp_path / 'notes.jpg')
    assert said(page, 'notes.jpg').startswith('notes.jpg cannot be read as an image')
    page.get_by_label('Clear').first.click()
    said(page, 'Drop an image')
    begin = time.monotonic()
    drop(page, claiming(20_000, 20_000))
    words = said(page, 'claims_20000x20000.png')
    assert words.endswith('has too many pixels; the limit is 50,000,000')
    assert time.monotonic() - begin < 10
    peak = Path(f'/proc/{server.process.pid}/status').read_text()
    assert int(re.search(r'VmHWM:\s+(\d+) kB', peak)[1]) < 3e6  # decoded it has 1.2 GB


def test_two_visitors_at_once(open_page: Callable, tmp_path: Path) -> None:
    alone, pages = [], [open_page(), open_page()]
    files = [tmp_path / 'one.png', tmp_path / 'two.png']
    for seed, file in enumerate(files):
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((64, 64)).save(file)
        page = open_page()
        drop(page, file)
        said(page, f'{file.name} (64 x 64): predicted')
        until(lambda page=page: len(rows(page)) == 10)
        alone.append(rows(page))
    assert alone[0] != alone[1]
    for page, file in zip(pages, files, strict=True):
        drop(page, file)
    for page, file, expected in zip(pages, files, alone, strict=True):
        said(page, f'{file.name} (64 x 64): predicted')
        until(lambda page=page, expected=expected: rows(page) == expected)


class Trap(BaseHTTPRequestHandler):
    """Notes every request."""

    seen: list[str] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def trap() -> Iterator[str]:
    server = HTTPServer(('127.0.0.1', 0), Trap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_address[1]}/secret.png'
    server.shutdown()


def call(server: Server, function: str, *data: Any) -> str:
    """What the server answers to a request to a function of the page, made by hand."""
    config = httpx.get(f'{server.url}/config').json()
    index = next(each['id'] for each in config['dependencies'] if function in str(each['api_name']))
    session = uuid.uuid4().hex
    body = dict(data=data, fn_index=index, session_hash=session)
    joined = httpx.post(f'{server.url}/gradio_api/queue/join', json=body)
    assert joined.status_code == 200, joined.text
    stream = f'{server.url}/gradio_api/queue/data?session_hash={session}'
    with httpx.stream('GET', stream, timeout=30) as events:
        for line in events.iter_lines():
            if line.startswith('data:') and 'process_completed' in line:
                return line
    raise AssertionError('no answer')


def file_data(path: str) -> dict[str, Any]:
    return dict(path=path, url=None, orig_name='a.png', meta={'_type': 'gradio.FileData'})


def test_only_what_was_dropped_is_read(server: Server, image: Path, trap: str) -> None:
    with image.open('rb') as file:
        answer = httpx.post(f'{server.url}/gradio_api/upload', files=dict(files=('a.png', file)))
    (uploaded,) = answer.json()
    said = json.loads(call(server, 'predict', 'cls', file_data(uploaded))[5:])
    assert said['success'] and 'predicted in' in str(said['output'])
    up = str(Path(uploaded).parent) + '/..' * 20
    for path in (str(image), '/etc/passwd', f'{up}/etc/passwd', 'pyproject.toml', trap):
        said = json.loads(call(server, 'predict', 'cls', file_data(path))[5:])
        assert not said['success'], path
        assert 'root:' not in str(said) and 'predicted in' not in str(said)
    said = json.loads(call(server, 'predict', '../../etc', file_data(uploaded))[5:])
    assert not said['success']
    for path in ('/etc/passwd', str(image), trap, f'{up}/etc/passwd'):
        assert httpx.get(f'{server.url}/gradio_api/file={path}').status_code == 404
    assert Trap.seen == []


def test_a_file_beyond_the_limit_is_not_taken(server: Server, scratch: Path) -> None:
    before = {file for file in scratch.rglob('*') if file.is_file()}
    files = dict(files=('a.png', b'?' * 3_100_000))
    answer = httpx.post(f'{server.url}/gradio_api/upload', files=files)
    assert answer.status_code == 413 and 'maximum allowed size' in answer.text
    assert {file for file in scratch.rglob('*') if file.is_file()} == before

"""Server of the page: address, temporary files, start and shutdown."""

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from mmsmt.errors import UsageError
from mmsmt.hosts.request import Request
from mmsmt.web.uploads import Limits

LOOPBACK = ('127.0.0.1', 'localhost', '::1')
UPLOADS_KEPT = 50  # of maximum size; more must wait until old ones are removed
SESSIONS = 64  # number of visitors whose last answer is kept


def serve(
    requests: Sequence[Request], host: str, port: int, limits: Limits, device: str | None = None
) -> None:
    """Serve a page of models until Ctrl-C or SIGTERM.

    Args:
        requests: The models, as arguments of `find_model`.
        host: Address to listen on.
        port: Port; 0 for a free one.
        limits: Limits of uploads.
        device: The GPU by default, if there is one.

    Raises:
        UserError: If Gradio is missing, the port is in use, or a model cannot be loaded.
    """
    port = _free_port(host, port)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _own_folder() as folder:
        blocks: Any = None
        try:
            blocks = _start(requests, host, port, limits, device, folder)
            print(f'page     {blocks.local_url}  (stop with Ctrl-C)', flush=True)
            if host not in LOOPBACK:
                warning = 'anyone who can reach this machine can use the page'
                print(f'warning: --host {host}: {warning}', file=sys.stderr, flush=True)
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            return
        finally:
            if blocks:
                blocks.close(verbose=False)
            signal.signal(signal.SIGTERM, before)


def _start(
    requests: Sequence[Request],
    host: str,
    port: int,
    limits: Limits,
    device: str | None,
    folder: Path,
) -> Any:
    try:
        import gradio
        from gradio import processing_utils
    except ModuleNotFoundError as error:
        raise UsageError(
            "the page needs Gradio, which is not installed: pip install 'mmsmt[web]'"
        ) from error
    from starlette.middleware import Middleware

    from mmsmt.web.guard import Guard
    from mmsmt.web.models import ServedModel
    from mmsmt.web.page import CSS, Page

    async def fetch_nothing(url: str) -> Any:
        refusal = 'the page reads only files that were dropped on it'
        raise gradio.Error(refusal, print_exception=False)

    # Gradio accepts URLs instead of files, and makes the server fetch them.
    assert hasattr(processing_utils, 'async_ssrf_protected_get')
    processing_utils.async_ssrf_protected_get = fetch_nothing
    models = {request.label: ServedModel(request, device) for request in requests}
    blocks = Page(models, limits, folder).build()
    most = UPLOADS_KEPT * limits.upload_bytes
    guard = Middleware(Guard, folder=folder, most_bytes=most, loopback=host in LOOPBACK)
    try:
        blocks.launch(
            server_name=f'[{host}]' if ':' in host else host,
            server_port=port,
            app_kwargs=dict(middleware=[guard]),
            max_file_size=limits.upload_bytes,
            state_session_capacity=SESSIONS,
            prevent_thread_lock=True,
            quiet=True,
            theme=gradio.themes.Default(font='sans-serif', font_mono='monospace'),
            css=CSS,
            footer_links=[],
            share=False,
            inbrowser=False,
            enable_monitoring=False,
            run_history=False,
            mcp_server=False,
            ssr_mode=False,
            pwa=False,
            _frontend=False,
        )
    except OSError as error:
        raise UsageError(_in_use(host, port)) from error
    return blocks


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0; raise UsageError if in use, before loading models."""
    if not 0 <= port <= 65535:
        raise UsageError(f'--port {port}: ports are 0 to 65535')
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address[:2], family=family) as server:
            return server.getsockname()[1]
    except socket.gaierror as error:
        raise UsageError(f'--host {host}: no such address') from error
    except PermissionError as error:
        raise UsageError(f'--port {port}: not permitted; use 1024 or above') from error
    except OSError as error:
        raise UsageError(_in_use(host, port)) from error


def _in_use(host: str, port: int) -> str:
    return (
        f'--port {port}: cannot listen on {host}:{port}; is it in use? --port 0 chooses a free one'
    )


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Yield a folder for everything that Gradio writes, removed at the end.

    Gradio reads its folders and other settings from the environment, which must not affect the
    page.
    """
    with (
        tempfile.TemporaryDirectory(prefix='mmsmt_serve_', ignore_cleanup_errors=True) as name,
        mock.patch.dict(os.environ),
        mock.patch.object(tempfile, 'tempdir', name),
    ):
        for variable in [each for each in os.environ if each.startswith('GRADIO_')]:
            del os.environ[variable]
        os.environ |= dict(
            GRADIO_TEMP_DIR=str(Path(name).resolve()),
            GRADIO_ANALYTICS_ENABLED='False',
            HF_HUB_OFFLINE='1',
            NO_PROXY='*',  # it connects to itself to check that it has started
            no_proxy='*',
        )
        yield Path(name).resolve()

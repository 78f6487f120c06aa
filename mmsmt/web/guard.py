"""Middleware that allows only the page's own requests, and none that make the server fetch URLs.

Gradio has more routes than the page uses. One fetches URLs given by a visitor, and a monitor shows
all requests.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.responses import PlainTextResponse

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

PAGES = ('/', '/config', '/theme.css', '/favicon.ico', '/manifest.json', '/robots.txt')
FOLDERS = ('/assets/', '/static/', '/svelte/', '/gradio_api/heartbeat/')
API = (
    *('upload', 'upload_progress', 'queue/join', 'queue/data', 'cancel', 'reset'),
    *('startup-events', 'info', 'theme.css', 'app_id'),
)
LOOPBACK = ('127.0.0.1', 'localhost', '[::1]')
# Browsers load nothing from other hosts, whatever the page requests.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; form-action 'self'"
)


class Guard:
    """ASGI middleware that refuses requests that are not the page's own.

    Args:
        app: The application that answers allowed requests.
        folder: Folder of uploads and results, the only files that are sent.
        most_bytes: Maximum size of the folder before uploads are refused.
        loopback: Whether only this machine can connect. Then requests must name it, because another
            website may point its own host name at this machine.
    """

    def __init__(self, app: Any, folder: Path, most_bytes: int, loopback: bool) -> None:
        self.app, self.folder = app, folder
        self.most_bytes, self.loopback = most_bytes, loopback

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        """Answer or refuse a request."""
        if scope['type'] == 'lifespan':
            await self.app(scope, receive, send)
            return
        if refusal := self.refuse(scope):
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message['type'] == 'http.response.start':
                named = (b'content-security-policy', POLICY.encode())
                message['headers'] = [*message.get('headers', ()), named]
            await send(message)

        await self.app(scope, receive, send_with_policy)

    def refuse(self, scope: Message) -> tuple[int, str] | None:
        """Return status and reason of a refusal, or None."""
        path = unquote(scope.get('path', ''))
        host = dict(scope.get('headers', ())).get(b'host', b'').decode('latin-1')
        if self.loopback and re.sub(r':\d+$', '', host) not in LOOPBACK:
            return 403, 'this page is only available at 127.0.0.1 and localhost'
        if scope['type'] != 'http' or not self.knows(path):
            return 404, 'not part of this page'
        if path == '/gradio_api/upload' and _size(self.folder) > self.most_bytes:
            return 507, 'too many files are waiting; please try again in a few minutes'
        return None

    def knows(self, path: str) -> bool:
        """Return whether the page uses this path."""
        if '..' in path:
            return False
        sent = f'/gradio_api/file={self.folder}/'
        known = (*PAGES, *(f'/gradio_api/{name}' for name in API))
        return path in known or path.startswith((sent, *FOLDERS))


def _size(folder: Path) -> int:
    """Return the bytes in a folder, from which files may disappear meanwhile."""
    total = 0
    for file in folder.rglob('*'):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total

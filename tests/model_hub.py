"""A server that speaks as much of the Hugging Face Hub's protocol as small models need."""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class Repository:
    """Files of one branch, and the number of its commits."""

    def __init__(self, private: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self.private = private
        self.commits = 0

    @property
    def sha(self) -> str:
        return hashlib.sha1(f'{self.commits}{sorted(self.files)}'.encode()).hexdigest()


class ModelHub(ThreadingHTTPServer):
    """The server; it stops at the end of `with`.

    Args:
        token: Whoever writes, or reads a private repository, has to send it.
    """

    daemon_threads = True

    def __init__(self, token: str = 'hf_right') -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.token = token
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}  # by SHA-256, not yet in a commit
        self.requests: list[str] = []
        self.claimed_sizes: dict[str, int] = {}  # what it says of files instead of the truth

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'

    def __enter__(self) -> 'ModelHub':
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server: ModelHub

    def log_message(self, format: str, *args: Any) -> None:
        self.server.requests.append(f'{self.command} {self.path}')

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if found := re.fullmatch(r'/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?', path):
            if repository := self.readable(found[1], found[2]):
                self.answer(200, self.info(found[1], repository))
        elif found := re.fullmatch(r'/api/models/([^/]+/[^/]+)/tree/([^/]+)', path):
            if repository := self.readable(found[1], found[2]):
                self.answer(200, [self.entry(*item) for item in repository.files.items()])
        elif found := re.fullmatch(r'/([^/]+/[^/]+)/resolve/([^/]+)/(.+)', path):
            if repository := self.readable(found[1], found[2]):
                self.send_file(repository, found[3])
        else:
            self.fail(404, 'NotFound')

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get('content-length', 0)))
        path = unquote(urlsplit(self.path).path)
        if path == '/api/validate-yaml':
            return self.answer(200, {'errors': [], 'warnings': []})
        if self.headers.get('authorization') != f'Bearer {self.server.token}':
            return self.fail(401, '')
        if path == '/api/repos/create':
            told = json.loads(body)
            name = f'{told.get("organization") or "me"}/{told["name"]}'
            if name in self.server.repositories:
                return self.answer(409, {'error': 'exists', 'url': f'{self.server.address}/{name}'})
            private = bool(told.get('private')) or told.get('visibility') == 'private'
            self.server.repositories[name] = Repository(private)
            return self.answer(200, {'url': f'{self.server.address}/{name}', 'name': name})
        if found := re.fullmatch(r'/api/models/(.+)/preupload/[^/]+', path):
            files = [
                {
                    'path': file['path'],
                    'uploadMode': 'lfs' if file['path'].endswith('.safetensors') else 'regular',
                    'shouldIgnore': False,
                    'oid': None,
                }
                for file in json.loads(body)['files']
            ]
            return self.answer(200, {'files': files})
        if path.endswith('.git/info/lfs/objects/batch'):
            objects = [
                {**one, 'actions': {'upload': {'href': f'{self.server.address}/lfs/{one["oid"]}'}}}
                for one in json.loads(body)['objects']
            ]
            return self.answer(200, {'transfer': 'basic', 'objects': objects})
        if found := re.fullmatch(r'/api/models/(.+)/commit/[^/]+', path):
            return self.commit(found[1], [json.loads(line) for line in body.splitlines()])
        return self.fail(404, 'NotFound')

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers['content-length']))
        oid = hashlib.sha256(content).hexdigest()
        if self.path != f'/lfs/{oid}':
            return self.fail(400, 'BadRequest')
        self.server.large[oid] = content
        return self.answer(200, {})

    def commit(self, name: str, lines: list[Any]) -> None:
        repository = self.server.repositories[name]
        for line in lines:
            value = line['value']
            if line['key'] == 'file':
                repository.files[value['path']] = base64.b64decode(value['content'])
            elif line['key'] == 'lfsFile':
                repository.files[value['path']] = self.server.large.pop(value['oid'])
        repository.commits += 1
        address = f'{self.server.address}/{name}/commit/{repository.sha}'
        self.answer(200, {'success': True, 'commitOid': repository.sha, 'commitUrl': address})

    def readable(self, name: str, revision: str | None) -> Repository | None:
        """The repository, if whoever asks may see it; else the answer is given."""
        repository = self.server.repositories.get(name)
        allowed = self.headers.get('authorization') == f'Bearer {self.server.token}'
        if repository is None or (repository.private and not allowed):
            self.fail(404 if allowed else 401, 'RepoNotFound')
        elif revision not in (None, 'main', repository.sha):
            self.fail(404, 'RevisionNotFound')
        else:
            return repository
        return None

    def info(self, name: str, repository: Repository) -> dict[str, Any]:
        siblings = [
            {'rfilename': file, 'size': self.server.claimed_sizes.get(file, len(content))}
            for file, content in repository.files.items()
        ]
        return {'id': name, 'sha': repository.sha, 'private': False, 'siblings': siblings}

    def entry(self, path: str, content: bytes) -> dict[str, Any]:
        oid = hashlib.sha1(content).hexdigest()
        return {'type': 'file', 'path': path, 'size': len(content), 'oid': oid}

    def send_file(self, repository: Repository, path: str) -> None:
        if path not in repository.files:
            return self.fail(404, 'EntryNotFound')
        content = repository.files[path]
        etag = hashlib.sha256(content).hexdigest()
        self.reply(200, content, {'ETag': f'"{etag}"', 'X-Repo-Commit': repository.sha})
        return None

    def answer(self, status: int, content: Any) -> None:
        self.reply(status, json.dumps(content).encode(), {'Content-Type': 'application/json'})

    def fail(self, status: int, code: str) -> None:
        self.reply(status, b'', {'X-Error-Code': code} if code else {})

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, 'Content-Length': str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(content)

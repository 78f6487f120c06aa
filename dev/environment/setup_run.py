"""Parts of set-up: commands with a log, locks, and one-line problems.

Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

GRACE_S = 10

# Output of a failed pip or compiler run, and the message for it. The first match counts.
KNOWN = [
    (
        r'No space left on device',
        'the disk is full: free about 12 GB, then run make setup again',
    ),
    (
        r'DO NOT MATCH THE HASHES',
        'the package index has another file than the one whose hash is in requirements/; it was not'
        ' installed: set PIP_INDEX_URL to an index that you trust',
    ),
    (
        r'name resolution|Name or service not known|Network is unreachable|Connection refused'
        r'|Failed to establish a new connection|NewConnectionError|ReadTimeoutError|ProxyError'
        r'|\(from versions: none\)|ConnectTimeoutError|nodename nor servname',
        'no connection to the package index: connect to the network (or set PIP_INDEX_URL to a'
        ' mirror), then run make setup again',
    ),
    (
        r'Killed signal terminated program|cannot allocate memory|out of memory',
        'the compiler ran out of memory: run MAX_JOBS=1 make setup',
    ),
]


class Problem(Exception):
    """What is missing and what to do, in one line."""


def cache_folder() -> Path:
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'mmsmt'


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`.

    The system releases the lock when its last holder ends, also if set-up is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('  another set-up is running here, waiting for it', flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: list[str], log: Path, what: str, env: dict[str, str] | None = None) -> None:
    """Run a command with its output in `log`; a failure becomes a `Problem`.

    The command gets its own session, so that all its processes can be stopped when we are
    interrupted.
    """
    with log.open('a') as out:
        out.write(f'$ {" ".join(command)}\n')
        out.flush()
        begin = out.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        try:
            process.wait()
        finally:
            if process.poll() is None:
                _end(process)
    if process.returncode:
        raise Problem(_explain(what, log, begin))


def _end(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _explain(what: str, log: Path, begin: int) -> str:
    """Return one line if the cause is known, else the end of the command's output."""
    with log.open(errors='replace') as file:
        file.seek(begin)
        output = file.read()
    for pattern, line in KNOWN:
        if re.search(pattern, output):
            return f'{what}: {line}'
    tail = '\n'.join(output.splitlines()[-20:])
    return f'{what} failed; its output is in {log} and ends with\n{tail}'

"""A file has either its old or its new content, wherever the writer stops."""

import errno
import os
import signal
import stat
from pathlib import Path

import pytest

from mmsmt.checkpoints import remove_unfinished, write_atomically
from mmsmt.errors import CheckpointError

OLD, NEW = b'old' * 1000, b'new' * 2000
# The calls of one writing, in order; the second flush is that of the folder.
CALLS = ['fsync', 'replace', 'fsync']


def die_at(call: int) -> None:
    """Let this process kill itself in place of the n-th flush or renaming."""
    left = [call]

    def dying(function: object) -> object:
        def wrapper(*args: object) -> object:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return function(*args)

        return wrapper

    os.fsync, os.replace = dying(os.fsync), dying(os.replace)


@pytest.mark.parametrize('call', range(len(CALLS) + 1))
def test_killed_at_any_step(tmp_path: Path, call: int) -> None:
    path = tmp_path / 'x.pth'
    write_atomically(path, OLD)
    child = os.fork()
    if child == 0:
        die_at(call)
        write_atomically(path, NEW)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) == (call < len(CALLS))
    assert path.read_bytes() == (NEW if call > CALLS.index('replace') else OLD)
    left = [file for file in tmp_path.iterdir() if file != path]
    assert len(left) == (call <= CALLS.index('replace'))
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ('fsync', 'replace'):
        function = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=function: (calls.append(n), f(*a)))
    write_atomically(tmp_path / 'new/x.pth', NEW)
    assert calls == CALLS


@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / 'x.pth'
    write_atomically(path, OLD)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(CheckpointError, match=f'^{path}: cannot be written .No space left on dev'):
        write_atomically(path, NEW)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_cannot_flush_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMB, FUSE and Windows refuse that, after the file is complete."""
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, 'Invalid argument')
        fsync(descriptor)

    monkeypatch.setattr(os, 'fsync', refuse_folders)
    write_atomically(tmp_path / 'epoch_1.pth', b'weights')
    assert (tmp_path / 'epoch_1.pth').read_bytes() == b'weights'

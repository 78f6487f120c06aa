"""A folder that is replaced atomically, once it is complete."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsmt.errors import FolderBusyError


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder next to the target that becomes the target on success.

    However the process ends, the target is never half-written. The staging folder is locked by its
    process, so the next run detects and removes what a killed run left behind.

    Args:
        target: The folder to write; its old content is replaced.

    Yields:
        `.<name>.partial` next to the target, to be filled.

    Raises:
        FolderBusyError: If another process is building this target.
        OSError: If the parent cannot be created or written.
    """
    target = target.resolve()  # '.' has no name to derive siblings from
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'.{target.name}.partial')
    replaced = target.with_name(f'.{target.name}.replaced')
    partial.mkdir(exist_ok=True)
    with _locked(partial):
        try:
            for entry in partial.iterdir():  # the folder itself carries the lock
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            yield partial
            _remove(replaced)
            if target.exists():
                target.rename(replaced)
            partial.rename(target)
        finally:
            _remove(partial)
        _remove(replaced)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise FolderBusyError(f'another process is writing {folder}') from error
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)

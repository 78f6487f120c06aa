"""Building a folder aside and putting it in place only when it is complete."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsmt.errors import FolderBusyError


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside the target; on success it becomes the target.

    However the process ends, the target is never half-written. A lock on the
    staging folder dies with its process, so what a killed one left is told
    from what a living one is writing, and is removed by the next.

    Args:
        target: The folder to make; what it held before is replaced.

    Yields:
        ``.<name>.partial`` beside the target, to be filled.

    Raises:
        FolderBusyError: If another process is building this target.
        OSError: If the parent cannot be made or written.
    """
    target = target.resolve()  # '.' has no name to derive siblings from
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'.{target.name}.partial')
    replaced = target.with_name(f'.{target.name}.replaced')
    partial.mkdir(exist_ok=True)
    with exclusive(partial):
        try:
            remove_contents(partial)
            yield partial
            remove(replaced)
            if target.exists():
                target.rename(replaced)
            partial.rename(target)
        finally:
            remove(partial)
        remove(replaced)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; FolderBusyError if a living process holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise FolderBusyError(f'another process is writing {folder}') from error
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Remove a folder, if there is one."""
    if folder.exists():
        shutil.rmtree(folder)


def remove_contents(folder: Path) -> None:
    """Remove what is in a folder, but not the folder, which carries the lock."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()

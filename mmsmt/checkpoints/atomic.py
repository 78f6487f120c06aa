"""Atomic file writes."""

import os
from contextlib import suppress
from pathlib import Path

from mmsmt.errors import CheckpointError

UNFINISHED = '.unfinished'


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace a file: what stood there before stays until the new content is on the disk.

    The content goes to a temporary file beside it, which is flushed and then renamed.

    Args:
        path: File to write; folders above it are made.
        content: All of it.

    Raises:
        CheckpointError: If it cannot be written (disk full, say). The former file is then
            untouched and nothing of the new one is left.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}{UNFINISHED}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open('wb') as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _flush_folder(path.parent)
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be written ({error.strerror})') from error


def _flush_folder(folder: Path) -> None:
    """Bring a renaming to the disk, which flushing the file does not.

    The file is complete by then, so it does not matter that SMB, FUSE and Windows refuse this.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: str | Path) -> None:
    """Remove what killed processes left half-written in a folder, where there is one."""
    for leftover in Path(folder).glob(f'.*{UNFINISHED}'):
        leftover.unlink(missing_ok=True)

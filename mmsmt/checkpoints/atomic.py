"""Atomic file writes."""

import os
from contextlib import suppress
from pathlib import Path

from mmsmt.errors import CheckpointError

UNFINISHED = '.unfinished'


def write_atomically(path: str | Path, content: bytes) -> None:
    """Replace a file; the old content stays until the new one is on disk.

    The content goes to a temporary file in the same folder, which is flushed and then renamed.

    Args:
        path: File to write; missing parent folders are created.
        content: The complete content.

    Raises:
        CheckpointError: If it cannot be written (e.g. disk full). The old file is then
            untouched, and the temporary one is removed.
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
    """Flush a rename to disk, which flushing the file does not do.

    The file is complete by then, so an error (on SMB, FUSE or Windows) can be ignored.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: str | Path) -> None:
    """Remove half-written files of killed processes from a folder, if it exists."""
    for leftover in Path(folder).glob(f'.*{UNFINISHED}'):
        leftover.unlink(missing_ok=True)

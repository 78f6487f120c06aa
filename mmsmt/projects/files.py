"""Several files written together: all of them, or none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmsmt.checkpoints import write_atomically


@contextmanager
def written(files: Mapping[Path, bytes]) -> Iterator[None]:
    """Write files; if that or the block fails, put back what stood there.

    Args:
        files: Contents by path. Folders above them are made, and removed again if need be.

    Raises:
        CheckpointError: If one cannot be written.
    """
    before = {path: path.read_bytes() if path.is_file() else None for path in files}
    made = {parent for path in files for parent in path.parents if not parent.exists()}
    try:
        for path, content in files.items():
            if content != before[path]:
                write_atomically(path, content)
        yield
    except BaseException:
        for path, former in before.items():
            if former is None:
                path.unlink(missing_ok=True)
            else:
                write_atomically(path, former)
        for folder in sorted(made, key=lambda f: len(f.parts), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise

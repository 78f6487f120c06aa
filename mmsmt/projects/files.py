"""Writing of several files: all or none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmsmt.checkpoints import write_atomically


@contextmanager
def written(files: Mapping[Path, bytes]) -> Iterator[None]:
    """Write files; if that or the block fails, restore the previous state.

    Args:
        files: Contents by path. Missing parent folders are created, and removed again on failure.

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
        for path, previous in before.items():
            if previous is None:
                path.unlink(missing_ok=True)
            else:
                write_atomically(path, previous)
        for folder in sorted(made, key=lambda f: len(f.parts), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise

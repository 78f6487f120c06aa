"""The last good checkpoint of a work dir, for resuming."""

import logging
from collections.abc import Iterator
from pathlib import Path

from mmengine.logging import print_log

from mmsmt.checkpoints import read_container
from mmsmt.checkpoints.reader import find_weights
from mmsmt.errors import CheckpointError

_NEEDED = ('meta', 'optimizer', 'message_hub')


def find_last_good(folder: str | Path) -> Path | None:
    """Find the checkpoint from which to resume training in a folder.

    It is the one in `last_checkpoint`, otherwise the newest of `epoch_*.pth` and `iter_*.pth` that
    can be read completely. A warning then lists those that were skipped, and why.

    Args:
        folder: Work dir of the training.

    Returns:
        The checkpoint, or None if there is none at all.

    Raises:
        CheckpointError: If there are checkpoints, but none can be resumed from.
    """
    folder, passed_over = Path(folder), list[str]()
    for path in _candidates(folder):
        try:
            _require_good(path)
        except CheckpointError as error:
            passed_over.append(str(error))
            continue
        if passed_over:
            text = f'resuming from {path}; skipped: {"; ".join(passed_over)}'
            print_log(text, logger='current', level=logging.WARNING)
        return path
    if passed_over:
        raise CheckpointError(
            f'{folder}: no checkpoint to resume from: {"; ".join(passed_over)}. '
            'Train without --resume to start anew.'
        )
    return None


def name_last_good(folder: str | Path) -> str:
    """Describe the checkpoint from which stopped training can be resumed."""
    try:
        found = find_last_good(folder)
    except CheckpointError:
        found = None
    return f'the last good checkpoint is {found}' if found else 'there is no checkpoint yet'


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield the checkpoint in `last_checkpoint`, then the others, newest first."""
    named = _named(folder)
    if named:
        yield named
    found = [path for kind in ('epoch', 'iter') for path in folder.glob(f'{kind}_*.pth')]
    for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        if named is None or not (path.exists() and named.exists() and path.samefile(named)):
            yield path


def _named(folder: Path) -> Path | None:
    note = folder / 'last_checkpoint'
    text = note.read_text(errors='replace').strip() if note.is_file() else ''
    if not text:
        return None
    # If the work dir was moved, the checkpoint is next to the file that names it.
    moved = folder / Path(text).name
    return moved if moved.exists() else Path(text)


def _require_good(path: Path) -> None:
    if path.is_dir():
        return  # shards of several processes, read by their strategy
    container = read_container(path)
    find_weights(container, str(path))
    lacking = [key for key in _NEEDED if key not in container]
    if lacking:
        raise CheckpointError(f'{path}: not a training checkpoint, it lacks {", ".join(lacking)}')

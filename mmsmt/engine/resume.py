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
    """Find the checkpoint that a training in a folder goes on from.

    That is what `last_checkpoint` names, else the newest of `epoch_*.pth` and `iter_*.pth` that
    can be read whole; one warning then says which were passed over and why.

    Args:
        folder: Work dir of the training.

    Returns:
        The checkpoint; None where there is none at all.

    Raises:
        CheckpointError: If there are checkpoints, but none that a training can go on from.
    """
    folder, passed_over = Path(folder), list[str]()
    for path in _candidates(folder):
        try:
            _require_good(path)
        except CheckpointError as error:
            passed_over.append(str(error))
            continue
        if passed_over:
            text = f'going on from {path}; passed over: {"; ".join(passed_over)}'
            print_log(text, logger='current', level=logging.WARNING)
        return path
    if passed_over:
        raise CheckpointError(
            f'{folder}: no checkpoint to go on from: {"; ".join(passed_over)}. '
            'Train without --resume to start anew.'
        )
    return None


def name_last_good(folder: str | Path) -> str:
    """What to tell people whose training stops: where it can go on."""
    try:
        found = find_last_good(folder)
    except CheckpointError:
        found = None
    return f'the last good checkpoint is {found}' if found else 'there is no checkpoint yet'


def _candidates(folder: Path) -> Iterator[Path]:
    """The checkpoint that `last_checkpoint` names, then the others, newest first."""
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
    # A work dir that was moved, or is reached from another folder, has it beside the note.
    beside = folder / Path(text).name
    return beside if beside.exists() else Path(text)


def _require_good(path: Path) -> None:
    if path.is_dir():
        return  # shards of several processes, which their strategy reads
    container = read_container(path)
    find_weights(container, str(path))
    lacking = [key for key in _NEEDED if key not in container]
    if lacking:
        raise CheckpointError(f'{path}: is no state of a training, it lacks {", ".join(lacking)}')

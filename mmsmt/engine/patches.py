"""Every change to mmengine, each with the versions that need it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, utils
from mmengine.fileio import LocalBackend
from mmengine.runner import CheckpointLoader

from mmsmt.checkpoints import read_container, write_atomically


def load_from_mmsmt(filename: str, map_location: Any = 'cpu', **_: Any) -> dict[str, Any]:
    """`read_container` under a name of which mmengine's log makes "by mmsmt backend"."""
    return read_container(filename, map_location)


def install_safe_loading() -> None:
    """Make mmengine read local and web checkpoints with `read_container`.

    Without it, mmengine 0.10.7 cannot resume its own checkpoints under torch >= 2.6,
    cannot read safetensors, and unpickles what comes from the web.
    """
    schemes = ('', 'http://', 'https://')
    CheckpointLoader.register_scheme(schemes, loader=load_from_mmsmt, force=True)


class AtomicBackend(LocalBackend):
    """mmengine's local files, written as a whole or not at all."""

    _postponed: list[str] | None = None

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file.

        Raises:
            CheckpointError: If it cannot be written; the former one is then untouched.
        """
        write_atomically(filepath, obj)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file, inside `removing_later` at its end."""
        if self._postponed is None:
            super().remove(filepath)
        else:
            self._postponed.append(str(filepath))

    @contextmanager
    def removing_later(self) -> Iterator[None]:
        """Postpone removals until what is to replace the files is written."""
        postponed: list[str] = []
        self._postponed = postponed
        try:
            yield
        finally:
            self._postponed = None
        for path in postponed:
            super().remove(path)


def prepare_atomic_saving(cfg: Config) -> None:
    """Replace a config's `CheckpointHook`, given or mmengine's default, in place."""
    if 'default_hooks' not in cfg:
        cfg.default_hooks = {}
    if 'checkpoint' not in cfg.default_hooks:
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)
    hook = cfg.default_hooks.checkpoint
    if hook and hook.type in ('CheckpointHook', 'mmengine.CheckpointHook'):
        hook.type = 'mmsmt.AtomicCheckpointHook'


_load_once = cache(utils.load)


@contextmanager
def metafiles_read_once() -> Iterator[None]:
    """mmengine 0.10.7 reads all metafiles of a host anew for every `mmdet::...`, for a second."""
    before, utils.load = utils.load, _load_once
    try:
        yield
    finally:
        utils.load = before

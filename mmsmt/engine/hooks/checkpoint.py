"""Checkpoint hook with atomic writes."""

from collections import deque
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook

from mmsmt.checkpoints import remove_unfinished, write_atomically
from mmsmt.engine.history import ENTRIES, restore_history, to_plain
from mmsmt.engine.patches import AtomicBackend
from mmsmt.engine.resume import name_last_good
from mmsmt.errors import CheckpointError
from mmsmt.registry import HOOKS


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook` with atomic writes, safe against a crash at any time.

    Checkpoints, the best ones and `last_checkpoint` are replaced atomically, and an old checkpoint
    is deleted after the new one is written. Their content is plain, so that
    `torch.load(weights_only=True)` and the hosts' inferencers can read it. Same arguments.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.AtomicCheckpointHook', interval=1))
    """

    def before_train(self, runner: Any) -> None:
        """Make mmengine write local files atomically from now on."""
        AtomicBackend.install()
        super().before_train(runner)
        if is_main_process():
            remove_unfinished(self.out_dir)
            remove_unfinished(runner.work_dir)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Convert history and metadata to plain types, which every safe reader accepts."""
        super().before_save_checkpoint(runner, checkpoint)
        checkpoint.update({k: to_plain(checkpoint[k]) for k in ENTRIES if k in checkpoint})

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Restore mmengine's history; files with unconverted history are left alone."""
        super().after_load_checkpoint(runner, checkpoint)
        restore_history(checkpoint.get('message_hub') or {})

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        self.last_ckpt = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        # The file also lists its outdated predecessor, so that a resumed run removes it if a kill
        # prevented the removal below (`CheckpointHook.before_train`).
        ids = self._update_ids(runner, step)
        try:
            runner.save_checkpoint(
                self.out_dir,
                self.filename_tmpl.format(step),
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                write_atomically(Path(runner.work_dir) / 'last_checkpoint', self.last_ckpt.encode())
        except CheckpointError as error:
            raise CheckpointError(f'{error}; {name_last_good(runner.work_dir)}') from error
        self._remove_outdated(runner, ids)

    def _update_ids(self, runner: Any, step: int) -> list[int]:
        """Return the steps of the checkpoints to keep; the last one is about to be written."""
        if self.max_keep_ckpts <= 0:
            return []
        ids = [*(i for i in self.keep_ckpt_ids if i != step), step]
        runner.message_hub.update_info('keep_ckpt_ids', ids)
        return ids

    def _remove_outdated(self, runner: Any, ids: list[int]) -> None:
        if not ids:
            return
        self.keep_ckpt_ids = deque(ids, self.max_keep_ckpts)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        for step in ids[: -self.max_keep_ckpts] if is_main_process() else ():
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):  # a folder of shards
                self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, float]) -> None:
        atomic = isinstance(self.file_backend, AtomicBackend)
        with self.file_backend.removing_later() if atomic else nullcontext():
            super()._save_best_checkpoint(runner, metrics)

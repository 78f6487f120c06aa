"""Every change to mmengine, with the versions that need it.

| change | why | needed by |
|---|---|---|
| `install_safe_loading` | reads checkpoints with `weights_only=True`, and safetensors | 0.10.7 |
| `load_strictly` | the continuation unpickles what `weights_only=True` refuses | onedl 0.10.12 |
| `AtomicBackend` | a local file is written as a whole or not at all | 0.10.7 |
| `replace_types` | the checkpoint hook and optimizer wrappers of `mmsmt` in a config | 0.10.7 |
| `wrap_dataloaders` | a hook on every data loader that a runner builds | 0.10.7 |
| `metafiles_read_once` | `_base_` of a host reads all of its metafiles each time | 0.10.7 |
| `loading_nothing` | checks build models that read a teacher's weights | 0.10.7 |

`tests/test_engine/test_patches.py` fails for a change that mmengine no longer needs.
`mmsmt/__init__.py` adds the package to mmengine's table of config packages.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, utils
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader, Runner, checkpoint
from torch.utils.data import DataLoader

from mmsmt.checkpoints import read_container, write_atomically
from mmsmt.errors import ConfigError


def load_from_mmsmt(filename: str, map_location: Any = 'cpu', **_: Any) -> dict[str, Any]:
    """`read_container` under a name of which mmengine's log makes "by mmsmt backend"."""
    return read_container(filename, map_location)


def install_safe_loading() -> None:
    """Make mmengine read local and web checkpoints with `read_container`.

    mmengine 0.10.7 cannot resume its own checkpoints under torch >= 2.6, cannot read safetensors,
    and unpickles what comes from the web.
    """
    schemes = ('', 'http://', 'https://')
    CheckpointLoader.register_scheme(schemes, loader=load_from_mmsmt, force=True)
    if hasattr(checkpoint, '_safe_torch_load'):  # of onedl-mmengine, for all other schemes
        checkpoint._safe_torch_load = load_strictly


def load_strictly(file: Any, map_location: Any = None, **_: Any) -> Any:
    """Read a file or buffer with `weights_only=True`; what this refuses is not read at all."""
    return torch.load(file, map_location=map_location, weights_only=True)


class AtomicBackend(LocalBackend):
    """mmengine's local files, written as a whole or not at all."""

    _postponed: list[str] | None = None

    @classmethod
    def install(cls) -> None:
        """Make mmengine write local files with this backend."""
        register_backend('local', cls, force=True, prefixes='')

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


def replace_types(cfg: Config) -> None:
    """Replace types of mmengine in a config by those of `mmsmt`, in place.

    The checkpoint hook, given or mmengine's default, writes atomically. Without a GPU mixed
    precision is bfloat16 on the CPU. Under FSDP gradients are clipped by the whole norm.

    Raises:
        ConfigError: If gradients cannot be clipped under FSDP as configured.
    """
    _replace_checkpoint_hook(cfg)
    replace_amp_without_gpu(cfg)
    replace_sharded_clipping(cfg)


def _replace_checkpoint_hook(cfg: Config) -> None:
    if 'default_hooks' not in cfg:
        cfg.default_hooks = {}
    if 'checkpoint' not in cfg.default_hooks:
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)
    hook = cfg.default_hooks.checkpoint
    if hook and hook.type in ('CheckpointHook', 'mmengine.CheckpointHook'):
        hook.type = 'mmsmt.AtomicCheckpointHook'


def replace_amp_without_gpu(cfg: Config) -> None:
    """Replace `AmpOptimWrapper`, which refuses CPUs, where there is no GPU."""
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') != 'AmpOptimWrapper' or torch.cuda.is_available():
        return
    dropped: dict[str, Any] = {key: wrapper.pop(key, None) for key in ('loss_scale', 'dtype')}
    wrapper['type'] = 'mmsmt.CpuAmpOptimWrapper'
    print_log(f'no GPU: mixed precision in bfloat16, without {dropped}', logger='current')


def replace_sharded_clipping(cfg: Config) -> None:
    """Under FSDP clip by the norm over all processes, not by each shard's own."""
    wrapper = cfg.get('optim_wrapper') or {}
    clipping = wrapper.get('clip_grad')
    if not clipping or cfg.get('strategy', {}).get('type') != 'FSDPStrategy':
        return
    if clipping.get('type', 'norm') != 'norm' or clipping.get('norm_type', 2) != 2:
        raise ConfigError(f'under FSDP gradients can be clipped by their 2-norm, got {clipping}')
    known = {'OptimWrapper': 'ShardedOptimWrapper', 'AmpOptimWrapper': 'ShardedAmpOptimWrapper'}
    kind = wrapper.get('type', 'OptimWrapper')
    if kind not in known:
        raise ConfigError(f'under FSDP clipping needs one of {sorted(known)}, got {kind}')
    wrapper['type'] = f'mmsmt.{known[kind]}'
    if kind == 'AmpOptimWrapper':
        wrapper['use_fsdp'] = True


def wrap_dataloaders(
    runner: Runner, wrap: Callable[[Any, Callable[[], DataLoader]], DataLoader]
) -> None:
    """Let a function stand around every data loader that a runner builds.

    Args:
        runner: Its data loaders are not built yet.
        wrap: From the loader's config, and what builds it, to the loader.
    """
    build = runner.build_dataloader

    def build_wrapped(dataloader: Any, *args: Any, **kwargs: Any) -> DataLoader:
        return wrap(dataloader, lambda: build(dataloader, *args, **kwargs))

    runner.build_dataloader = build_wrapped


_load_once = cache(utils.load)


@contextmanager
def metafiles_read_once() -> Iterator[None]:
    """Read every metafile of a host once, not anew for every `mmdet::...`, which takes a second."""
    before, utils.load = utils.load, _load_once
    try:
        yield
    finally:
        utils.load = before


@contextmanager
def loading_nothing(asked: list[str]) -> Iterator[None]:
    """Give an empty checkpoint for every file or address, and list what was asked for."""

    def load(filename: str, *_: Any, **__: Any) -> dict[str, Any]:
        asked.append(filename)
        return {'state_dict': {}}

    before = vars(CheckpointLoader)['load_checkpoint']
    CheckpointLoader.load_checkpoint = staticmethod(load)
    try:
        yield
    finally:
        CheckpointLoader.load_checkpoint = before

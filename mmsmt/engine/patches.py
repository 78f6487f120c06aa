"""All changes to mmengine, with the versions that need them.

| change | why | needed by |
|---|---|---|
| `install_safe_loading` | reads checkpoints with `weights_only=True`, and safetensors | 0.10.7 |
| `load_strictly` | onedl unpickles files that `weights_only=True` refuses | onedl 0.10.12 |
| `AtomicBackend` | local files are written all or nothing | 0.10.7 |
| `replace_types` | uses the checkpoint hook and optimizer wrappers of `mmsmt` | 0.10.7 |
| `wrap_dataloaders` | wraps every data loader that a runner builds | 0.10.7 |
| `metafiles_read_once` | `_base_` of a host reads all of its metafiles every time | 0.10.7 |
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
    """Wrap `read_container` under a name that mmengine logs as "by mmsmt backend"."""
    return read_container(filename, map_location)


def install_safe_loading() -> None:
    """Make mmengine read local and downloaded checkpoints with `read_container`.

    mmengine 0.10.7 cannot resume its own checkpoints with torch >= 2.6, cannot read safetensors,
    and unpickles downloaded files.
    """
    schemes = ('', 'http://', 'https://')
    CheckpointLoader.register_scheme(schemes, loader=load_from_mmsmt, force=True)
    if hasattr(checkpoint, '_safe_torch_load'):  # onedl-mmengine, for all other URL schemes
        checkpoint._safe_torch_load = load_strictly


def load_strictly(file: Any, map_location: Any = None, **_: Any) -> Any:
    """Read a file or buffer with `weights_only=True`, without a fallback."""
    return torch.load(file, map_location=map_location, weights_only=True)


class AtomicBackend(LocalBackend):
    """mmengine's backend of local files, with atomic writes."""

    _postponed: list[str] | None = None

    @classmethod
    def install(cls) -> None:
        """Make mmengine write local files with this backend."""
        register_backend('local', cls, force=True, prefixes='')

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file atomically.

        Raises:
            CheckpointError: If it cannot be written; the old file is then untouched.
        """
        write_atomically(filepath, obj)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file, or at the end of `removing_later`."""
        if self._postponed is None:
            super().remove(filepath)
        else:
            self._postponed.append(str(filepath))

    @contextmanager
    def removing_later(self) -> Iterator[None]:
        """Postpone removals until the new files are written."""
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

    The checkpoint hook, from the config or mmengine's default, writes atomically. Without a GPU,
    mixed precision is bfloat16 on the CPU. Under FSDP gradients are clipped by the global norm.

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
    """Replace `AmpOptimWrapper`, which needs a GPU, if there is none."""
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') != 'AmpOptimWrapper' or torch.cuda.is_available():
        return
    dropped: dict[str, Any] = {key: wrapper.pop(key, None) for key in ('loss_scale', 'dtype')}
    wrapper['type'] = 'mmsmt.CpuAmpOptimWrapper'
    print_log(f'no GPU: mixed precision in bfloat16, without {dropped}', logger='current')


def replace_sharded_clipping(cfg: Config) -> None:
    """Clip by the norm over all processes under FSDP, not by that of each shard."""
    wrapper = cfg.get('optim_wrapper') or {}
    clipping = wrapper.get('clip_grad')
    if not clipping or cfg.get('strategy', {}).get('type') != 'FSDPStrategy':
        return
    if clipping.get('type', 'norm') != 'norm' or clipping.get('norm_type', 2) != 2:
        raise ConfigError(f'FSDP supports clipping only by the 2-norm, got {clipping}')
    known = {'OptimWrapper': 'ShardedOptimWrapper', 'AmpOptimWrapper': 'ShardedAmpOptimWrapper'}
    kind = wrapper.get('type', 'OptimWrapper')
    if kind not in known:
        raise ConfigError(f'clipping under FSDP needs one of {sorted(known)}, got {kind}')
    wrapper['type'] = f'mmsmt.{known[kind]}'
    if kind == 'AmpOptimWrapper':
        wrapper['use_fsdp'] = True


def wrap_dataloaders(
    runner: Runner, wrap: Callable[[Any, Callable[[], DataLoader]], DataLoader]
) -> None:
    """Wrap every data loader that a runner builds.

    Args:
        runner: A runner whose data loaders are not built yet.
        wrap: From the loader's config and a function that builds it, to the loader.
    """
    build = runner.build_dataloader

    def build_wrapped(dataloader: Any, *args: Any, **kwargs: Any) -> DataLoader:
        return wrap(dataloader, lambda: build(dataloader, *args, **kwargs))

    runner.build_dataloader = build_wrapped


_load_once = cache(utils.load)


@contextmanager
def metafiles_read_once() -> Iterator[None]:
    """Read each metafile of a host once, not again for every `mmdet::...`, which takes a second."""
    before, utils.load = utils.load, _load_once
    try:
        yield
    finally:
        utils.load = before


@contextmanager
def loading_nothing(asked: list[str]) -> Iterator[None]:
    """Return an empty checkpoint for every file or URL, and list the requests."""

    def load(filename: str, *_: Any, **__: Any) -> dict[str, Any]:
        asked.append(filename)
        return {'state_dict': {}}

    before = vars(CheckpointLoader)['load_checkpoint']
    CheckpointLoader.load_checkpoint = staticmethod(load)
    try:
        yield
    finally:
        CheckpointLoader.load_checkpoint = before

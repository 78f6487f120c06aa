"""Checks of weight files that PyTorch lacks: archive, dense tensors, NaN and Inf."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmsmt.errors import CheckpointError

_CHUNK = 1 << 20


def is_archive(path: str | Path) -> bool:
    """Return whether a file is an archive of torch.save, by the same test as PyTorch."""
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\x03\x04'


def require_sound_archive(path: str | Path) -> None:
    """Check an archive of torch.save: sizes first, then every checksum.

    PyTorch skips the checksums, and allocates whatever memory a compressed entry claims to need.
    Here memory is bounded, and the file is read once.

    Args:
        path: Local file; other formats (PyTorch's old format, safetensors) pass.

    Raises:
        zipfile.BadZipFile: If the archive is damaged.
    """
    if not is_archive(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise zipfile.BadZipFile('compressed entries, which torch.save never writes')
        if sum(entry.file_size for entry in entries) > Path(path).stat().st_size:
            raise zipfile.BadZipFile('entries claim more bytes than the file has')
        for entry in entries:
            with archive.open(entry) as content:
                while content.read(_CHUNK):
                    pass


def require_numbers(state: Mapping[str, Tensor], name: str, on_meta: bool = False) -> None:
    """Raise unless all tensors are dense and finite.

    Args:
        state: Name to tensor; only floating-point tensors are checked for NaN and Inf.
        name: Name of the file, for the message.
        on_meta: Whether the caller asked for shapes only (`map_location='meta'`).

    Raises:
        CheckpointError: If a tensor is sparse, nested or on the meta device, or has NaN or Inf.
    """
    for key, value in state.items():
        form = _other_form(value, on_meta)
        if form:
            raise CheckpointError(f'{name}: {key} is {form}, expected a dense tensor')
    bad = [key for key, value in state.items() if not _is_finite(value)]
    if bad:
        more = f' and {len(bad) - 1} more' if len(bad) > 1 else ''
        raise CheckpointError(
            f'{name}: {bad[0]} holds NaN or Inf{more}; the training that wrote it has diverged'
        )


def _other_form(value: Tensor, on_meta: bool) -> str:
    if value.is_nested:
        return 'nested'
    if value.layout != torch.strided:
        return 'sparse'
    return 'a shape without data' if value.is_meta and not on_meta else ''


def _is_finite(value: Tensor) -> bool:
    if value.is_meta or not (value.is_floating_point() or value.is_complex()):
        return True
    # An expanded tensor stores one number for many, and checking all of them could need more memory
    # than the file has: check the storage first.
    stored = torch.empty(0, dtype=value.dtype, device=value.device).set_(value.untyped_storage())
    if _all_finite(stored):
        return True
    return value.numel() <= stored.numel() and _all_finite(value)


def _all_finite(value: Tensor) -> bool:
    wide = value.float() if value.itemsize == 1 else value  # float8 has no isfinite
    return bool(wide.isfinite().all())

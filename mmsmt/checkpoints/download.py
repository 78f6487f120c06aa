"""Download of weight files: once per machine, cached, verified by hash."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from filelock import FileLock

from mmsmt.errors import CheckpointError

Content = TypeVar('Content')
HASH = re.compile(r'-([0-9a-f]{8,})\.')  # in a file's name, as by PyTorch and OpenMMLab


def cached_file(url: str) -> Path:
    """Return where the file of a URL is cached: PyTorch's hub cache.

    Args:
        url: http or https address.

    Raises:
        CheckpointError: If the URL has no file name.
    """
    name = Path(urlparse(url).path).name
    if not name:
        raise CheckpointError(f'{url}: the URL has no file name')
    return Path(torch.hub.get_dir()) / 'checkpoints' / name


def read_url(url: str, read: Callable[[str], Content]) -> Content:
    """Read the file of a URL, downloading it if it is not cached.

    One process per machine downloads while the others wait. A file is kept only if it can be read
    and matches the hash in its name, if there is one.

    Args:
        url: http or https address.
        read: Reads a local file.

    Returns:
        What `read` returns.

    Raises:
        CheckpointError: If the file cannot be downloaded or read, or does not match its hash.
    """
    path = cached_file(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f'{path}.lock'):
        if path.exists():
            return read(str(path))
        partial = path.with_name(f'.partial-{path.name}')
        try:
            _download(url, partial, path)
            content = read(str(partial))
            partial.replace(path)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(str(partial), url)) from error
        finally:
            partial.unlink(missing_ok=True)
        return content


def _download(url: str, partial: Path, path: Path) -> None:
    expected = HASH.search(path.name)
    try:
        torch.hub.download_url_to_file(url, str(partial), expected and expected[1])
    except RuntimeError as error:  # hash mismatch
        raise CheckpointError(f'{url}: {error}; the download is damaged or another file') from error
    except (URLError, OSError) as error:
        raise CheckpointError(
            f'{url}: cannot be downloaded ({getattr(error, "reason", error)}); '
            f'without a connection, put the file at {path}'
        ) from error

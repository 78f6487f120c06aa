"""Model folders: reading, checking, writing all or nothing."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from mmsmt.checkpoints import compare, read_container, write_atomically
from mmsmt.checkpoints.atomic import UNFINISHED
from mmsmt.checkpoints.reader import import_safetensors
from mmsmt.errors import CheckpointError, ConfigError, TargetError, UsageError
from mmsmt.hosts.meta_device import build_on_meta
from mmsmt.hosts.portable import from_text
from mmsmt.hosts.trust import require_harmless
from mmsmt.text import printable

WEIGHTS, CONFIG, METADATA, CARD = 'model.safetensors', 'config.py', 'metadata.json', 'README.md'
# Maximum size of each file in bytes.
LIMITS = {WEIGHTS: 20 * 2**30, CONFIG: 2**20, METADATA: 2**20, CARD: 2**20}
REQUIRED = (WEIGHTS, CONFIG, METADATA)


class ModelFolder(NamedTuple):
    """A checked model folder.

    Args:
        path: The folder.
        cfg: Its config.
        weights: Path of the weights.
        dataset_meta: `classes`, a tuple of names, and `palette`, a list of RGB triples.
    """

    path: Path
    cfg: Config
    weights: str
    dataset_meta: dict[str, Any]

    def at(self, path: str | Path) -> 'ModelFolder':
        """Return the same folder at another path."""
        return self._replace(path=Path(path), weights=str(Path(path, WEIGHTS)))

    def container(self) -> dict[str, Any]:
        """Return weights and classes, in the form of `read_container` for a host's checkpoint.

        Raises:
            CheckpointError: If the weights cannot be read.
        """
        state = read_container(self.weights)
        return {'state_dict': state, 'meta': {'dataset_meta': self.dataset_meta}}


def is_folder(path: str | Path) -> bool:
    """Return whether a path is a model folder, complete or not."""
    return any(Path(path, name).is_file() for name in (WEIGHTS, METADATA))


def read_folder(path: str | Path) -> ModelFolder:
    """Read a model folder without executing anything in it; it may come from a stranger.

    The weights are not read yet, but their names and shapes are checked against the config's model.

    Args:
        path: A folder written by `save_pretrained` or `pull`.

    Raises:
        UsageError: If it is not a model folder, or its model cannot be built.
        ConfigError: If its config could run code, load files or access the network.
        CheckpointError: If the weights do not fit the config.
    """
    path = Path(path)
    require_sizes(
        path, {file.name: file.stat().st_size for file in path.glob('*') if file.is_file()}
    )
    source = str(path / CONFIG)
    plain = from_text(_text(path / CONFIG), source)
    require_harmless(plain, source)
    if not isinstance(plain.get('model'), dict) or 'type' not in plain['model']:
        raise ConfigError(f'{source}: not a training config: `model` is missing')
    try:
        cfg = Config(plain)
    except (KeyError, TypeError) as error:  # from keys that mmengine reserves
        raise ConfigError(f'{source}: {error}') from error
    folder = ModelFolder(path, cfg, str(path / WEIGHTS), _dataset_meta(path / METADATA))
    _require_fit(folder)
    return folder


def require_sizes(source: str | Path, sizes: Mapping[str, int]) -> None:
    """Raise UsageError if files of a folder are missing or too large.

    Args:
        source: Name of the folder, for the message.
        sizes: Size of each file in bytes, by name.

    Raises:
        UsageError: If a file is missing or too large.
    """
    if missing := [name for name in REQUIRED if name not in sizes]:
        raise UsageError(f'{source}: not a model folder: {" and ".join(missing)} missing')
    for name, most in LIMITS.items():
        if sizes.get(name, 0) > most:
            raise UsageError(f'{source}: {name} has {sizes[name]:,} bytes, the maximum is {most:,}')


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'{path}: cannot be read as text ({error})') from error


def _dataset_meta(path: Path) -> dict[str, Any]:
    """Return classes and palette; raise ConfigError unless they are names and colours."""
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'{path}: not valid JSON ({error})') from error
    content = content if isinstance(content, dict) else {}
    classes, palette = content.get('classes'), content.get('palette')
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ConfigError(f'{path}: `classes` must be a list of names')
    if not isinstance(palette, list) or not all(map(_is_color, palette)):
        raise ConfigError(f'{path}: `palette` must be a list of [red, green, blue], 0 to 255')
    return {
        'classes': tuple(map(printable, classes)),
        'palette': [tuple(color) for color in palette],
    }


def _is_color(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return all(type(part) is int and 0 <= part <= 255 for part in value)


def _require_fit(folder: ModelFolder) -> None:
    """Compare names and shapes before memory is allocated for a model of any size."""
    import_safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder.weights, 'pt') as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f'{folder.weights}: not readable as safetensors ({error})') from error
    try:
        model = build_on_meta(folder.cfg)
    except Exception as error:  # untrusted arguments can raise anything
        reason = f'{type(error).__name__}: {error}'
        source = folder.path / CONFIG
        raise UsageError(f'{source}: the model cannot be built: {reason}') from error
    state = {name: torch.empty(shape, device='meta') for name, shape in shapes.items()}
    compare(model.state_dict(), state).require_fit(folder.weights)


def require_free(path: str | Path) -> Path:
    """Raise unless a folder is absent or empty.

    Raises:
        TargetError: If the folder holds anything.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise TargetError(f'{path}: already exists; remove it or choose another folder')
    return path


class Unfinished:
    """Context manager for a folder with a temporary name, renamed once it is complete.

    Args:
        path: Folder to write; must be absent or empty.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = require_free(path)

    def __enter__(self) -> Path:
        """Create the temporary folder next to the final one."""
        try:
            parent = self.path.absolute().parent
            parent.mkdir(parents=True, exist_ok=True)
            prefix = f'.{self.path.name}.'
            self.temporary = Path(tempfile.mkdtemp(UNFINISHED, prefix, parent))
        except OSError as error:
            raise TargetError(f'{self.path}: cannot be written ({error.strerror})') from error
        return self.temporary

    def __exit__(self, kind: object, *_: object) -> None:
        """Rename the folder, or remove it after an error."""
        try:
            if kind is None:
                self.temporary.chmod(0o755)  # mkdtemp gives access to the owner only
                self.temporary.rename(self.path.absolute())
        except OSError as error:
            raise TargetError(f'{self.path}: cannot be written ({error.strerror})') from error
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)


def write_folder(path: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder all or nothing.

    Args:
        path: Folder, absent or empty.
        files: Contents by name.

    Raises:
        TargetError: If the folder holds something or cannot be written.
        CheckpointError: If a file cannot be written.
    """
    with Unfinished(path) as temporary:
        for name, content in files.items():
            write_atomically(temporary / name, content)
    return Path(path)

"""The continuation's mmengine unpickles what it cannot read safely; with `mmsmt` it does not."""

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytest
import torch
from mmengine.runner import CheckpointLoader, checkpoint

from mmsmt.engine.patches import install_safe_loading
from mmsmt.errors import CheckpointError

LOCAL, BY_NAME = 'local', 'openmmlab://hostile'


class MakesFolder:
    """Unpickled, makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def safe_torch_load(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    """What `_safe_torch_load` of onedl-mmengine 0.10.12 comes to for a hostile file."""
    return torch.load(file, map_location=map_location, weights_only=bool(weights_only))


@pytest.fixture(autouse=True)
def continuation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """mmengine's loaders as the continuation has them, and a model of its own model zoo."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    monkeypatch.setattr(checkpoint, 'get_external_models', lambda: {'hostile': 'hostile.pth'})
    local, by_name = checkpoint.load_from_local, checkpoint.load_from_openmmlab
    # Of a fresh copy of the module, since another test may have replaced the one in use.
    spec = spec_from_file_location('mmengine.runner.fresh_checkpoint', checkpoint.__file__)
    fresh = module_from_spec(spec)
    spec.loader.exec_module(fresh)
    reader = getattr(fresh, '_safe_torch_load', safe_torch_load)
    monkeypatch.setattr(checkpoint, '_safe_torch_load', reader, raising=False)
    if reader is safe_torch_load:
        path = tmp_path / 'hostile.pth'
        local = by_name = lambda *_, **__: checkpoint._safe_torch_load(path)
    CheckpointLoader.register_scheme('', loader=local, force=True)
    CheckpointLoader.register_scheme('openmmlab://', loader=by_name, force=True)


@pytest.mark.parametrize('address', [LOCAL, BY_NAME])
def test_nothing_in_a_file_is_run(address: str, tmp_path: Path) -> None:
    made, path = tmp_path / 'made', tmp_path / 'hostile.pth'
    torch.save({'state_dict': {'w': torch.zeros(1)}, 'x': MakesFolder(made)}, path)
    name = str(path) if address == LOCAL else address
    CheckpointLoader.load_checkpoint(name, 'cpu')
    assert made.exists(), 'control: without mmsmt the file runs'
    made.rmdir()
    install_safe_loading()
    with pytest.raises((CheckpointError, UnpicklingError)):
        CheckpointLoader.load_checkpoint(name, 'cpu')
    assert not made.exists()


def test_weights_of_the_model_zoo_are_read(tmp_path: Path) -> None:
    torch.save({'state_dict': {'w': torch.ones(1)}}, tmp_path / 'hostile.pth')
    install_safe_loading()
    assert CheckpointLoader.load_checkpoint(BY_NAME, 'cpu')['state_dict']['w'] == 1

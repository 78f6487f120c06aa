"""Small networks of the three hosts with random weights, and images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from digits_networks import Network, make_network
from PIL import Image


@pytest.fixture(scope='session')
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    """A digits network by its task: `cls`, `mask_rcnn` or `upernet`."""
    return partial(make_network, tmp_path_factory.mktemp('networks'))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of four images of three sizes; two have one stem."""
    folder = tmp_path / 'images'
    rng = np.random.default_rng(0)
    files = {'a.png': (64, 64), 'b/a.png': (96, 64), 'b/c.png': (64, 64), 'd.png': (64, 128)}
    for name, size in files.items():
        coarse = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize(size[::-1]).save(folder / name)
    return folder


@pytest.fixture
def released_file(tmp_path: Path, released_state, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The authors' file of SMT-T in the cache, as if it had been downloaded."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    path = Path(torch.hub.get_dir(), 'checkpoints', 'smt_tiny.pth')
    path.parent.mkdir(parents=True)
    torch.save({'model': released_state('tiny')}, path)
    return path

"""Small networks of the three hosts with random weights, and images."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmsmt.hosts.meta_device import build_model

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    'cls': tuple(f'digit {i}' for i in range(10)),
    'mask_rcnn': tuple(f'digit {i}' for i in range(10)),
    'upernet': ('ground', *(f'digit {i}' for i in range(10))),
}


class Network(NamedTuple):
    """A network as the command line names it."""

    config: str
    checkpoint: str
    classes: tuple[str, ...]


@pytest.fixture(scope='session')
def network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    """A digits network by its task: `cls`, `mask_rcnn` or `upernet`."""
    folder, made = tmp_path_factory.mktemp('networks'), dict[str, Network]()

    def make(task: str) -> Network:
        if task not in made:
            config, checkpoint = ROOT / f'configs/digits/{task}_smt_pico.py', folder / f'{task}.pth'
            torch.manual_seed(0)
            cfg = Config.fromfile(config)
            cfg.model.backbone.pop('init_cfg', None)
            model = build_model(cfg)
            model.init_weights()
            with torch.no_grad():  # so that classes differ from pixel to pixel
                for name, value in model.named_parameters():
                    if name.split('.')[-2] in ('conv_seg', 'fc_cls', 'fc', 'conv_logits'):
                        value.normal_(0, 0.3)
            meta = dict(dataset_meta=dict(classes=CLASSES[task]))
            torch.save(dict(state_dict=model.state_dict(), meta=meta), checkpoint)
            made[task] = Network(str(config), str(checkpoint), CLASSES[task])
        return made[task]

    return make


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

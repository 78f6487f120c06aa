"""A small set of digits where the digits configs look for it, a runner on it, and silence."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmsmt.backbones import SMT, SGFormer, UnifiedBackbone
from mmsmt.datasets.digits import Parameters, prepare_digits
from mmsmt.engine.runner import build_runner

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'digits'


@pytest.fixture
def quiet() -> Iterator[None]:
    """mmengine logs every parameter with a rule of its own."""
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope='session')
def digits_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/digits and the checkpoints that others start from, as after training."""
    home = tmp_path_factory.mktemp('digits_home')
    # Scenes no smaller than the crop: mmseg 1.2.2 cannot weight classes where it has padded.
    prepare_digits(home / 'data/digits', Parameters(8, 4, 192, 0))
    networks = {
        'smt_pico': SMT,
        'sg_former_pico': SGFormer,
        'unified_halo_pico': partial(UnifiedBackbone, 'halo'),
    }
    for name, network in networks.items():
        for seed, task in enumerate((f'cls_{name}/epoch_6', f'mask_rcnn_{name}/epoch_2')):
            torch.manual_seed(seed)
            state = {f'backbone.{k}': v for k, v in network(arch='pico').state_dict().items()}
            checkpoint = home / f'work_dirs/{task}.pth'
            checkpoint.parent.mkdir(parents=True)
            torch.save({'state_dict': state}, checkpoint)
    return home


@pytest.fixture
def small_runner(
    digits_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Runner]:
    """Build the runner of a digits config on few samples, its work dir in `tmp_path`."""
    monkeypatch.chdir(digits_home)

    def build(name: str, epochs: int = 1, samples: int = 8, **changes: object) -> Runner:
        cfg = Config.fromfile(CONFIGS / f'{name}.py')
        cfg.launcher = 'none'
        cfg.work_dir = str(tmp_path / name)
        cfg.train_dataloader.batch_size = 4
        cfg.train_dataloader.dataset.indices = samples
        cfg.val_dataloader.dataset.indices = 4
        cfg.train_cfg.max_epochs = epochs
        cfg.train_cfg.val_interval = 1
        cfg.merge_from_dict({'experiment_name': f'{name}_{tmp_path.name}', **changes})
        return build_runner(cfg)

    return build

"""`--epochs`: schedules keep their shape, and every kind of loop gets the right length."""

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, PARAM_SCHEDULERS
from torch import nn
from torch.utils.data import Dataset

from mmsmt.engine.length import set_epochs
from mmsmt.errors import UsageError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PER_EPOCH = 10  # iterations


@DATASETS.register_module()
class ManyImages(Dataset):
    """Only counted."""

    def __len__(self) -> int:
        return 410


def read(config: str, epochs: int) -> Config:
    cfg = Config.fromfile(CONFIGS / config)
    cfg.launcher = 'none'
    set_epochs(cfg, epochs)
    return cfg


def rates(cfg: Config) -> list[float]:
    """The rate at every epoch that mmengine makes of the schedules, without their warm-up."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    length = cfg.train_cfg.max_epochs
    schedules: list[Any] = []
    for schedule in cfg.param_scheduler:
        if not schedule.get('by_epoch', True):
            continue
        schedule.setdefault('end', length)
        defaults = dict(optimizer=optimizer, epoch_length=PER_EPOCH)
        schedules.append(PARAM_SCHEDULERS.build(schedule, default_args=defaults))
    seen = []
    for iteration in range(length * PER_EPOCH):
        if iteration % PER_EPOCH == 0:
            seen.append(optimizer.param_groups[0]['lr'])
        for schedule in schedules:
            if not schedule.by_epoch or (iteration + 1) % PER_EPOCH == 0:
                schedule.step()
    return seen


def test_steps_stay_at_their_share() -> None:
    cfg = read('det/mask_rcnn_smt_s_3x.py', 12)
    assert cfg.train_cfg.max_epochs == 12
    assert rates(cfg) == pytest.approx([1.0] * 9 + [0.1] * 2 + [0.01])  # 27 and 33 of 36
    assert cfg.param_scheduler[0].end == 500  # iterations


def test_a_cosine_and_its_warm_up_stay_at_their_share() -> None:
    seen = rates(read('cls/smt_s_in1k.py', 60))
    assert len(seen) == 60 and max(seen) == seen[1]  # 5 of 300 epochs are warm-up
    assert seen[0] == pytest.approx(1e-4) and seen[-1] < 0.01


@pytest.mark.parametrize('epochs', [1, 2, 300, 301])
@pytest.mark.parametrize('config', ['cls/smt_s_in1k.py', 'det/mask_rcnn_smt_s_3x.py'])
def test_any_number_builds(config: str, epochs: int) -> None:
    assert len(rates(read(config, epochs))) == epochs


def test_a_loop_of_iterations() -> None:
    cfg = Config.fromfile(CONFIGS / 'seg/upernet_smt_s_160k_ade20k.py')
    cfg.launcher, cfg.train_dataloader.dataset = 'none', ConfigDict(type='ManyImages')
    assert cfg.train_dataloader.batch_size == 2
    set_epochs(cfg, 40)
    assert cfg.train_cfg.max_iters == 40 * 205
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 4 * 205
    assert [(s.get('begin', 0), s.end) for s in cfg.param_scheduler] == [(0, 77), (77, 8200)]


def test_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('WORLD_SIZE', '5')
    cfg = Config.fromfile(CONFIGS / 'seg/upernet_smt_s_160k_ade20k.py')
    cfg.launcher, cfg.train_dataloader.dataset = 'pytorch', ConfigDict(type='ManyImages')
    set_epochs(cfg, 2)
    assert cfg.train_cfg.max_iters == 2 * 41
    monkeypatch.setenv('WORLD_SIZE', '400')
    set_epochs(cfg, 3)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (3, 1)


def test_what_changes_late() -> None:
    hooks = [dict(type='PipelineSwitchHook', switch_epoch=280)]
    loop = dict(max_epochs=300, val_interval=10, dynamic_intervals=[(280, 1)])
    cfg = Config(dict(train_cfg=loop, custom_hooks=hooks, param_scheduler=dict(type='ConstantLR')))
    set_epochs(cfg, 30)
    assert cfg.custom_hooks[0].switch_epoch == 28
    assert cfg.train_cfg.dynamic_intervals == [(28, 1)] and cfg.train_cfg.val_interval == 10


@pytest.mark.parametrize(
    ('loop', 'epochs', 'says'),
    [(dict(max_epochs=3), 0, 'at least 1, got 0'), (dict(type='Mine'), 3, 'train_cfg.max_epochs')],
)
def test_refuses(loop: dict, epochs: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        set_epochs(Config(dict(train_cfg=loop)), epochs)

"""Every way of spreading a batch computes what one process computes on the whole of it."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmsmt.checkpoints import load_checkpoint
from mmsmt.datasets.digits import Parameters, prepare_digits
from mmsmt.engine.distributed import prepare_cpu_processes

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs/digits/cls_smt_pico.py')
# Batch norm sees a process's own half and augmentation its own random numbers: both off.
VARIATION = """
_base_ = {bases!r}
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(batch_size={batch}, dataset=dict(indices=16, pipeline=pipeline))
model = dict(backbone=dict(norm_eval=True))
train_cfg = dict(max_epochs=1)
# Adam would blow rounding up: its first steps have the size of the rate whatever the gradient.
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.05, weight_decay=0.05))
param_scheduler = []  # counts iterations, and accumulation needs more of them
"""
FSDP = str(ROOT / 'configs/_base_/fsdp.py')


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def train(
    home: Path, name: str, processes: int = 1, batch: int = 8, bases: tuple = (), **options: object
) -> dict[str, torch.Tensor]:
    """One epoch of 16 samples; the state of the model after it."""
    config = home / f'{name}.py'
    config.write_text(VARIATION.format(bases=[CONFIG, *bases], batch=batch))
    if processes == 1:
        tool = [sys.executable, str(ROOT / 'tools/train.py'), str(config)]
    else:
        tool = [str(ROOT / 'tools/dist_train.sh'), str(config), str(processes)]
    changes = [f'{key}={value}' for key, value in options.items()]
    result = subprocess.run(
        [*tool, '--no-validate', '--work-dir', str(home / name)]
        + (['--cfg-options', *changes] if changes else []),
        cwd=home,
        env={**os.environ, 'PYTHON': sys.executable, 'MASTER_PORT': free_port()},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return load_checkpoint(home / name / 'epoch_1.pth')


@pytest.fixture(scope='module')
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits."""
    folder = tmp_path_factory.mktemp('distributed')
    prepare_digits(folder / 'data/digits', Parameters(1, 1, 160, 0))
    return folder


@pytest.fixture(scope='module')
def reference(home: Path) -> dict[str, torch.Tensor]:
    """What one process makes of two batches of eight."""
    return train(home, 'one')


WAYS = {
    'two_processes': dict(processes=2, batch=4),
    'two_processes_accumulating_with_cp': dict(
        processes=2,
        batch=2,
        **{'optim_wrapper.accumulative_counts': 2, 'model.backbone.with_cp': True},
    ),
    'sharded': dict(
        processes=2,
        batch=4,
        bases=(FSDP,),
        **{'strategy.model_wrapper.auto_wrap_policy.min_num_params': 100000},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('way', WAYS)
def test_equals_one_process(way: str, home: Path, reference: dict[str, torch.Tensor]) -> None:
    found = train(home, way, **WAYS[way])
    assert reference.keys() == found.keys()
    for name, value in reference.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_sync_bn_becomes_bn_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = Config(
        dict(
            launcher='pytorch',
            model=dict(head=[dict(norm_cfg=dict(type='SyncBN', requires_grad=True))]),
        )
    )
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    group = SimpleNamespace(is_initialized=lambda: True)
    monkeypatch.setattr('mmsmt.engine.distributed.distributed', group)
    threads = torch.get_num_threads()
    prepare_cpu_processes(cfg)
    torch.set_num_threads(threads)
    assert cfg.model.head[0].norm_cfg == dict(type='BN', requires_grad=True)
    assert cfg.model_wrapper_cfg.device_ids is None


def test_bad_number_of_processes_is_named() -> None:
    result = subprocess.run(
        [str(ROOT / 'tools/dist_train.sh'), CONFIG, 'two'], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "GPUS must be a positive number, got 'two'" in result.stderr

"""Two processes over gloo compute what one computes on the same batch."""

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
from mmsmt.datasets import Parameters, prepare_digits
from mmsmt.engine.distributed import prepare_cpu_processes

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs/digits/cls_smt_pico.py')
# Batch norm sees a process's own half and augmentation its own random numbers: both off.
VARIATION = """
_base_ = {base!r}
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_dataloader = dict(batch_size={batch}, dataset=dict(indices=16, pipeline=pipeline))
model = dict(backbone=dict(norm_eval=True))
train_cfg = dict(max_epochs=1)
"""


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def train(home: Path, name: str, processes: int) -> dict[str, torch.Tensor]:
    """Two iterations of 8 samples in all, on one process or several."""
    config = home / f'{name}.py'
    config.write_text(VARIATION.format(base=CONFIG, batch=8 // processes))
    if processes == 1:
        tool = [sys.executable, str(ROOT / 'tools/train.py'), str(config)]
    else:
        tool = [str(ROOT / 'tools/dist_train.sh'), str(config), str(processes)]
    result = subprocess.run(
        [*tool, '--no-validate', '--work-dir', str(home / name)],
        cwd=home,
        env={**os.environ, 'PYTHON': sys.executable, 'MASTER_PORT': free_port()},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return load_checkpoint(home / name / 'epoch_1.pth')


def test_two_processes_equal_one(tmp_path: Path) -> None:
    prepare_digits(tmp_path / 'data/digits', Parameters(1, 1, 160, 0))
    one, two = train(tmp_path, 'one', 1), train(tmp_path, 'two', 2)
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)


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

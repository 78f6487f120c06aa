"""A resumed training ends like an unbroken one, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmsmt.checkpoints import load_checkpoint


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cls_smt_pico', 'mask_rcnn_smt_pico', 'upernet_smt_pico'])
def test_resumed_equals_unbroken(name: str, small_runner: Callable, tmp_path: Path) -> None:
    options = {'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None}
    unbroken = small_runner(name, epochs=2, work_dir=str(tmp_path / 'unbroken'), **options)
    unbroken.train()
    resumed = small_runner(
        name,
        epochs=2,
        resume=True,
        load_from=str(tmp_path / 'unbroken/epoch_1.pth'),
        work_dir=str(tmp_path / 'resumed'),
        experiment_name=f'resumed_{tmp_path.name}',
        **options,
    )
    resumed.train()
    want = load_checkpoint(tmp_path / 'unbroken/epoch_2.pth')
    got = load_checkpoint(tmp_path / 'resumed/epoch_2.pth')
    assert not (tmp_path / 'resumed/epoch_1.pth').exists(), 'the first epoch was trained again'
    different = [key for key in want if not torch.equal(want[key], got[key])]
    assert not different, different

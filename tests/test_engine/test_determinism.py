"""The same seed gives the same weights, bit for bit, on one machine's processor."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from training_states import differences

ROOT = Path(__file__).resolve().parents[2]
CLASSIFIER = 'cls_smt_pico'


@pytest.fixture(autouse=True)
def algorithms_as_before() -> Iterator[None]:
    """Asking for deterministic algorithms holds for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


@pytest.mark.slow
@pytest.mark.parametrize('config', ['mask_rcnn_smt_pico', 'upernet_smt_pico'])
def test_same_seed_same_state(tiny_training: Callable[..., Runner], config: str) -> None:
    """Weights, optimizer and losses, whatever random numbers the process drew before.

    The second run requests deterministic algorithms, which changes nothing on a CPU.
    """
    finals = []
    for deterministic in (False, True):
        torch.manual_seed(len(finals))
        runner = tiny_training(config, randomness=dict(seed=0, deterministic=deterministic))
        assert torch.are_deterministic_algorithms_enabled() or not deterministic
        assert torch.backends.cudnn.deterministic or not deterministic
        runner.train()
        finals.append(Path(runner.work_dir) / 'epoch_1.pth')
    assert differences(*finals) == []


@pytest.mark.slow
def test_same_seed_same_state_with_workers(
    tiny_training: Callable[..., Runner], tmp_path: Path
) -> None:
    """Two workers augment; once in a process of another hash seed. A control has another seed."""
    finals = []
    for seed in (1, 0):
        runner = tiny_training(
            CLASSIFIER,
            train_dataloader=dict(num_workers=2, persistent_workers=True),
            train_cfg=dict(max_epochs=2),
            randomness=dict(seed=seed),
        )
        runner.train()
        finals.append(Path(runner.work_dir) / 'epoch_2.pth')
    assert any('backbone.stages.0' in name for name in differences(*finals))
    config = tmp_path / 'again.py'
    runner.cfg.dump(config)
    result = subprocess.run(
        [sys.executable, str(ROOT / 'tools/train.py'), str(config), '--work-dir', str(tmp_path)],
        env={**os.environ, 'PYTHONHASHSEED': '7', 'OMP_NUM_THREADS': str(torch.get_num_threads())},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert differences(finals[1], tmp_path / 'epoch_2.pth') == []

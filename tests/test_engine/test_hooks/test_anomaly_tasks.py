"""Weights that become NaN in the middle of a real training stop it, with what one needs to know."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsmt.errors import AnomalyError

RUNS = [
    ('cls_smt_pico', 'OptimWrapper'),
    ('cls_smt_pico', 'AmpOptimWrapper'),
    ('mask_rcnn_smt_pico', 'OptimWrapper'),
    ('mask_rcnn_smt_pico', 'AmpOptimWrapper'),
    ('retinanet_smt_pico', 'AmpOptimWrapper'),
    ('upernet_smt_pico', 'OptimWrapper'),
    ('upernet_smt_pico', 'AmpOptimWrapper'),
]


class Damage(Hook):
    """Makes one weight a NaN before an iteration, counted from 0."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.iteration:
            with torch.no_grad():
                runner.model.backbone.stages[3][0].ffn.fc2.bias[0] = math.nan


@pytest.mark.parametrize('config, wrapper', RUNS)
def test_every_task_says_where(
    tiny_training: Callable[..., Runner], few_digits: Path, config: str, wrapper: str
) -> None:
    runner = tiny_training(config, optim_wrapper=dict(type=wrapper), train_cfg=dict(max_epochs=2))
    runner.register_hook(Damage(2))
    with pytest.raises(AnomalyError) as caught:
        runner.train()
    message = str(caught.value)
    assert message.startswith('iteration 3 (epoch 2): ')
    assert 'loss is nan' in message and '\n' not in message
    named = message.partition('images of the batch: ')[2].partition(';')[0].split(', ')
    assert len(named) == 2 and all(Path(name).is_file() for name in named)
    assert all(Path(name).is_relative_to(few_digits) for name in named)
    last = Path(runner.work_dir) / 'epoch_1.pth'
    assert message.endswith(f'the last good checkpoint is {last}')
    assert not list(last.parent.glob('epoch_2*')), 'what has no hold of its numbers is not saved'

"""A training stops when validations get no better, also if it was interrupted in between."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from mmengine.runner import Runner
from torch import Tensor, nn

SCORES = [0.1, 0.5, 0.5, 0.3, 0.6, 0.2, 0.6, 0.5, 0.9]  # at epochs 1 to 9


@METRICS.register_module(force=True)
class GivenScores(BaseMetric):
    """The score of an epoch is that of a list."""

    epoch = 0

    def process(self, data_batch: object, data_samples: list) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        return {'score': SCORES[GivenScores.epoch - 1]}


class Counting(nn.Module):
    """Says to the metric which epoch it is: its weight, which a checkpoint restores."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def train_step(self, data: object, optim_wrapper: object) -> dict[str, Tensor]:
        with torch.no_grad():
            self.weight += 1
        return {'loss': torch.tensor(1.0)}

    def val_step(self, data: object) -> list:
        GivenScores.epoch = int(self.weight)
        return list(data)


@pytest.fixture
def train(make_runner: Callable[..., Runner]) -> Callable[..., int]:
    """Train with a patience; gives the number of epochs done."""

    def run(patience: int, epochs: int = 9, resume: Path | None = None) -> int:
        sampler = dict(type='DefaultSampler', shuffle=False)
        loader = dict(batch_size=1, dataset=[0.0], sampler=sampler)
        hook = dict(type='mmsmt.ResumableEarlyStoppingHook', monitor='score', rule='greater')
        runner = make_runner(
            model=Counting(),
            train_dataloader=loader,
            val_dataloader=loader,
            val_evaluator=dict(type='GivenScores'),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            val_cfg={},
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4)),
            default_hooks=dict(checkpoint=dict(type='mmsmt.AtomicCheckpointHook', interval=1)),
            hooks=[dict(type='mmsmt.MissedValidationHook'), dict(**hook, patience=patience)],
            load_from=str(resume) if resume else None,
            resume=bool(resume),
        )
        runner.train()
        return runner.epoch

    return run


@pytest.mark.parametrize(('patience', 'stops'), [(1, 3), (2, 4), (3, 8), (4, 9)])
def test_stops(train: Callable[..., int], patience: int, stops: int) -> None:
    """An equal score does not count as better."""
    assert train(patience) == stops


@pytest.mark.parametrize('interrupted', [1, 3, 6, 7])
def test_resumed_it_stops_at_the_same_epoch(
    train: Callable[..., int], tmp_path: Path, interrupted: int
) -> None:
    train(3, epochs=interrupted)
    assert train(3, resume=tmp_path / f'work/epoch_{interrupted}.pth') == 8


def test_a_stopped_training_is_not_gone_on_with(train: Callable[..., int], tmp_path: Path) -> None:
    train(2)
    assert train(2, resume=tmp_path / 'work/epoch_4.pth') == 4
    assert train(3, resume=tmp_path / 'work/epoch_4.pth') == 8  # unless patience is longer now

"""What a kill during a validation has cost is made up for on resuming, once."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsmt.checkpoints import read_container


class Killed(BaseException):
    """Stands for the end of the process."""


@METRICS.register_module(force=True)
class Scores(BaseMetric):
    """Worse every time but the first; the machine stops in place of one score."""

    seen: list[int] = []
    dies_at: int | None = None

    def process(self, data_batch: object, data_samples: list) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        self.seen.append(len(self.seen) + 1)
        if self.seen[-1] == self.dies_at:
            raise Killed
        return {'score': -float(self.seen[-1])}


class Still(nn.Module):
    """The least that trains and predicts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def train_step(self, data: object, optim_wrapper: object) -> dict[str, Tensor]:
        optim_wrapper.update_params(self.weight.square().sum())
        return {'loss': torch.tensor(1.0)}

    def val_step(self, data: object) -> list:
        return list(data)


Train = Callable[..., list[int]]


@pytest.fixture
def train(make_runner: Callable[..., Runner], monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train and validate every second step; gives the numbers of the scores that it asked for."""

    def run(resume: Path | None = None, steps: int = 4, **loop: object) -> list[int]:
        Scores.seen, before = Scores.seen if resume else [], len(Scores.seen) if resume else 0
        epochs = loop.pop('by_epoch', True)
        loader = dict(
            batch_size=1,
            # mmengine sleeps for seconds when a loop of iterations starts the data anew.
            dataset=[0.0] * (1 if epochs else 2 * steps),
            sampler=dict(type='DefaultSampler', shuffle=False),
        )
        name = 'max_epochs' if epochs else 'max_iters'
        runner = make_runner(
            model=Still(),
            train_dataloader=loader,
            val_dataloader=loader,
            val_evaluator=dict(type='Scores'),
            train_cfg={'by_epoch': epochs, name: steps, 'val_interval': 2, **loop},
            val_cfg={},
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4)),
            default_hooks=dict(
                checkpoint=dict(
                    type='mmsmt.AtomicCheckpointHook',
                    interval=1,
                    by_epoch=epochs,
                    save_best='score',
                    rule='greater',
                )
            ),
            hooks=[dict(type='mmsmt.MissedValidationHook')],
            load_from=str(resume) if resume else None,
            resume=bool(resume),
        )
        try:
            runner.train()
        except Killed:
            monkeypatch.setattr(Scores, 'dies_at', None)
        return Scores.seen[before:]

    return run


@pytest.mark.parametrize('by_epoch', [True, False])
@pytest.mark.parametrize('dies_at', [1, 2])
def test_killed_while_validating(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int, by_epoch: bool
) -> None:
    monkeypatch.setattr(Scores, 'dies_at', dies_at)
    assert len(train(by_epoch=by_epoch)) == dies_at
    kind = 'epoch' if by_epoch else 'iter'
    work = tmp_path / 'work'
    assert len(train(work / f'{kind}_{2 * dies_at}.pth', by_epoch=by_epoch)) == 3 - dies_at
    best = work / f'best_score_{kind}_2.pth'
    assert read_container(best)['meta'][kind] in (2, 3)  # mmengine counts iterations from one on


@pytest.mark.parametrize(('step', 'again'), [(1, 2), (2, 1), (3, 1), (4, 1)])
def test_nothing_missed(train: Train, tmp_path: Path, step: int, again: int) -> None:
    """The second score is not the best, so that nothing says that the last step had one."""
    assert train() == [1, 2]
    assert len(train(tmp_path / f'work/epoch_{step}.pth')) == again


def test_before_validations_begin(train: Train, tmp_path: Path) -> None:
    train(val_begin=4)
    assert len(train(tmp_path / 'work/epoch_2.pth', val_begin=4)) == 1

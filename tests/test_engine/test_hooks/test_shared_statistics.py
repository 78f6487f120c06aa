"""Batch norms of two processes agree before they are saved or validated, and only then."""

import multiprocessing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import distributed, nn

from mmsmt.engine.hooks.checkpoint import AtomicCheckpointHook
from mmsmt.engine.hooks.shared_statistics import SharedStatisticsHook


def runner_at(loop_type: type, iteration: int, **checkpoints: Any) -> SimpleNamespace:
    """A runner after an iteration, counted from 0, of 6 in a loop, or of 3 in each epoch."""
    loop = loop_type.__new__(loop_type)
    loop.dataloader, loop.val_interval = [None] * 3, 4
    return SimpleNamespace(
        model=nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, track_running_stats=False)),
        train_loop=loop,
        val_loop=object(),
        hooks=[AtomicCheckpointHook(**checkpoints)],
        iter=iteration,
        max_iters=6,
    )


def train_two(runner: SimpleNamespace, rank: int, rendezvous: str, results: Any) -> None:
    """Run the hook in one of two processes, whose statistics are those of its rank."""
    distributed.init_process_group('gloo', init_method=rendezvous, rank=rank, world_size=2)
    norm = runner.model[0]
    norm.running_mean.fill_(rank)
    norm.running_var.fill_(3 + 2 * rank)
    norm.num_batches_tracked.fill_(7)
    SharedStatisticsHook().after_train_iter(runner, runner.iter % 3)
    results.put((norm.running_mean[0].item(), norm.running_var[1].item()))
    distributed.barrier()  # a rank that leaves early breaks the connection of the other
    distributed.destroy_process_group()


EPOCHS = dict(by_epoch=True, interval=1)
ITERATIONS = dict(by_epoch=False, interval=3)
CASES = [
    (EpochBasedTrainLoop, 1, EPOCHS, False),
    (EpochBasedTrainLoop, 2, EPOCHS, True),
    (IterBasedTrainLoop, 0, ITERATIONS, False),
    (IterBasedTrainLoop, 2, ITERATIONS, True),  # a checkpoint
    (IterBasedTrainLoop, 3, ITERATIONS, True),  # a validation
    (IterBasedTrainLoop, 4, ITERATIONS, False),
    (IterBasedTrainLoop, 5, EPOCHS, True),  # the end
]


@pytest.mark.parametrize('loop, iteration, checkpoints, due', CASES)
def test_two_processes(
    loop: type, iteration: int, checkpoints: dict, due: bool, tmp_path: Path
) -> None:
    context = multiprocessing.get_context('fork')
    results = context.Queue()
    runner = runner_at(loop, iteration, **checkpoints)
    rendezvous = (tmp_path / 'rendezvous').as_uri()
    processes = [
        context.Process(target=train_two, args=(runner, rank, rendezvous, results))
        for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    found = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert found == ([(0.5, 4), (0.5, 4)] if due else [(0, 3), (1, 5)])


def test_one_process_needs_nothing() -> None:
    runner = runner_at(EpochBasedTrainLoop, 2, **EPOCHS)
    before = torch.randn(2)
    runner.model[0].running_mean.copy_(before)
    SharedStatisticsHook().after_train_iter(runner, 2)
    assert torch.equal(runner.model[0].running_mean, before)

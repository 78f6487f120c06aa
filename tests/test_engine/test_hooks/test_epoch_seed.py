"""Random numbers of epochs, iterations and workers: new at every start, equal when repeated."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import worker_init_fn
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader, Dataset

from mmsmt.engine.hooks import EpochSeedHook


class Noise(Dataset):
    """Samples that augmentation would draw: from numpy and torch."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([np.random.rand(), torch.rand(()).item()])


def drawn(position: int, workers: int, by_epoch: bool = True, seed: int = 0) -> torch.Tensor:
    """The samples of a training that starts at an epoch or iteration."""
    # As mmengine builds it: a worker draws the same numbers at every start.
    same = partial(worker_init_fn, num_workers=workers, rank=0, seed=seed)
    loader = DataLoader(Noise(), batch_size=2, num_workers=workers, worker_init_fn=same)
    loop: Any = SimpleNamespace(dataloader=loader)
    if by_epoch:
        loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop)
        loop.dataloader = loader
    runner = SimpleNamespace(train_loop=loop, seed=seed, epoch=position, iter=position)
    hook = EpochSeedHook()
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    return torch.cat(list(loader))


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_start_draws_its_own_numbers(workers: int, by_epoch: bool) -> None:
    first = drawn(3, workers, by_epoch)
    torch.manual_seed(9)
    assert torch.equal(drawn(3, workers, by_epoch), first)
    for other in (drawn(4, workers, by_epoch), drawn(3, workers, by_epoch, seed=1)):
        assert not (other == first).any()
    assert len(first.flatten().unique()) == 8, 'no worker repeats another'

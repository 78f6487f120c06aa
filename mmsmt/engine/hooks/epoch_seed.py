"""Hook that seeds every epoch and worker, for reproducible resuming."""

import random
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from mmsmt.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed Python, numpy and torch at the start of every training epoch, also in workers.

    The seed depends on the run's seed, the epoch (or iteration, in iteration-based training), the
    rank and the worker. Training resumed at an epoch draws the same random numbers as an unbroken
    one, bit for bit, if workers start with each epoch or there are none. Persistent workers, and
    iteration-based training, are seeded once: resumed, they draw new numbers instead of repeating
    those of the beginning. mmengine alone gives workers the same seed at every start.

    Examples:
        >>> from mmengine.registry import HOOKS
        >>> hook = HOOKS.build(dict(type='mmsmt.EpochSeedHook'))
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Any) -> None:
        """Seed iteration-based training."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._seed(runner, runner.iter)

    def before_train_epoch(self, runner: Any) -> None:
        """Seed an epoch."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._seed(runner, runner.epoch)

    def _seed(self, runner: Any, position: int) -> None:
        entropy = [runner.seed, position, get_rank()]
        seed_generators(entropy)
        loader = runner.train_loop.dataloader
        if isinstance(loader, DataLoader) and loader.num_workers:
            loader.worker_init_fn = partial(_seed_worker, entropy)


def _seed_worker(entropy: list[int], worker: int) -> None:
    torch.set_num_threads(1)  # as in mmengine's own function
    seed_generators([*entropy, worker])


def seed_generators(entropy: list[int]) -> None:
    """Seed all generators of this process with a list of numbers."""
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

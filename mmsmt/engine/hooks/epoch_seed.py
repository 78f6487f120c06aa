"""Hook that seeds epochs and workers, so that a resumed training draws the same numbers."""

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
    """Seed Python, numpy and torch at the start of every training epoch, in workers too.

    The seed is a function of the run's seed, the epoch (or iteration, where a training counts
    these) that starts, the rank and the worker. A training resumed at an epoch draws the random
    numbers of an unbroken one: bit for bit where workers start with each epoch or there are none.
    Persistent workers, and iterations, start once: resumed, they draw new numbers rather than those
    of the beginning again. mmengine gives workers the same seed at every start.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Any) -> None:
        """Seed a training that counts iterations."""
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
    torch.set_num_threads(1)  # as mmengine's own function does
    seed_generators([*entropy, worker])


def seed_generators(entropy: list[int]) -> None:
    """Seed all generators of this process by some numbers."""
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

"""Hook that seeds every epoch, so that a resumed training draws the same numbers."""

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from mmsmt.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed Python, numpy and torch anew at the start of every training epoch.

    The seed is a function of the run's seed, the epoch and the rank, so a training resumed
    at an epoch draws the random numbers of an unbroken one (mmengine restores the order of
    the samples, but no random state). That covers the main process: for augmentation it
    holds with `num_workers=0`; workers go on from states of their own.
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner: Any) -> None:
        """Seed all generators of this process."""
        entropy = np.random.SeedSequence([runner.seed, runner.epoch, get_rank()])
        seed = int(entropy.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

"""Speed of the networks of a study, measured in turn."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from mmsmt.benchmark.timing import time_in_turn
from mmsmt.hosts.model import load_model, logits_of
from mmsmt.hosts.request import Request

BATCH = 16


def measure_speed(
    configs: dict[str, str], size: int, rounds: int = 15
) -> dict[str, dict[str, float]]:
    """Time forward passes and training steps of classifiers in turn.

    Args:
        configs: Config file by label.
        size: Side of the images.
        rounds: Number of measurements of each.

    Returns:
        By label, the medians `forward` and `step` in milliseconds per image.
    """
    images = torch.rand(BATCH, 3, size, size)
    labels = torch.zeros(BATCH, dtype=torch.long)
    models = {name: load_model(Request(name, config)).model for name, config in configs.items()}

    @torch.no_grad()
    def forward(model: nn.Module) -> None:
        model.eval()  # not chained: `eval` of some backbones of mmpretrain returns None
        logits_of(model, images)

    def step(model: nn.Module) -> None:
        model.train()
        model.zero_grad()
        F.cross_entropy(logits_of(model, images), labels).backward()

    def medians(run: Callable[[nn.Module], None]) -> dict[str, float]:
        timed = time_in_turn({k: partial(run, model) for k, model in models.items()}, rounds)
        return {label: 1e3 * found.median / BATCH for label, found in timed.items()}

    forwards, steps = medians(forward), medians(step)
    return {label: {'forward': forwards[label], 'step': steps[label]} for label in models}

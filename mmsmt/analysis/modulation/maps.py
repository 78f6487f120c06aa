"""Modulation maps of scale-aware modulation, and how far its heads reach.

A modulation map is the mean absolute value of the modulator's channels at each place: the factor by
which the value branch is multiplied there.

The reach of a head is computed from its weights. The effective area of a kernel is the squared sum
of its squared weights over the sum of their squares: k x k for equal weights, 1 for a single tap.
The relative receptive field of a head is its mean over channels, as a share of the taps of the
largest kernel in the block. The SMT paper (https://arxiv.org/abs/2307.08579) uses the term without
a formula; this one is ours.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from mmsmt.errors import ConfigError
from mmsmt.hosts.model import evaluation_mode
from mmsmt.mixers import ScaleAwareModulation


class ModulationMap(NamedTuple):
    """The modulation map of a block for an image: `values` (H, W); stages and blocks from 1."""

    stage: int
    block: int
    values: Tensor


class HeadReach(NamedTuple):
    """The reach of a head, averaged over a stage's blocks; stages and heads from 1.

    `kernel` is the side of its kernel, `area` the effective area in taps, `relative` the area over
    the taps of the largest kernel.
    """

    stage: int
    head: int
    kernel: int
    area: float
    relative: float


def sam_blocks(backbone: nn.Module) -> list[tuple[int, int, ScaleAwareModulation]]:
    """Return stage and block, from 1, and mixer of every scale-aware modulation.

    Raises:
        ValueError: If there are none.
    """
    stages: Any = getattr(backbone, 'stages', [])
    found = []
    for i, blocks in enumerate(stages, 1):
        for j, block in enumerate(blocks if isinstance(blocks, nn.ModuleList) else [], 1):
            mixer = getattr(block, 'mixer', None)
            if isinstance(mixer, ScaleAwareModulation):
                found.append((i, j, mixer))
    if not found:
        raise ConfigError(f'{type(backbone).__name__} has no scale-aware modulation')
    return found


def modulation_maps(backbone: nn.Module, image: Tensor) -> list[ModulationMap]:
    """Return the modulation maps of all blocks for one normalised image (1, 3, H, W).

    Raises:
        ValueError: If there is no scale-aware modulation, or more than one image.
    """
    if image.ndim != 4 or len(image) != 1:
        raise ConfigError(f'expected one image (1, 3, H, W), got {tuple(image.shape)}')
    maps: list[ModulationMap] = []

    def keep(stage: int, block: int, mixer: Any, inputs: Any, _: Any) -> None:
        values = mixer.modulator(inputs[0]).abs().mean(-1)[0]
        maps.append(ModulationMap(stage, block, values.cpu()))

    with ExitStack() as hooks, evaluation_mode(backbone), torch.no_grad():
        for stage, block, mixer in sam_blocks(backbone):
            hook = mixer.register_forward_hook(partial(keep, stage, block))
            hooks.callback(hook.remove)
        backbone(image)
    return maps


def effective_area(weights: Tensor) -> float:
    """Return the effective area in taps of depth-wise kernels (C, 1, k, k), mean over channels."""
    energy = weights.detach().double().square().flatten(1)
    return (energy.sum(1).square() / energy.square().sum(1)).mean().item()


def head_reaches(backbone: nn.Module) -> list[HeadReach]:
    """Return the reach of the heads of every stage, computed from their weights.

    Raises:
        ValueError: If the backbone has no scale-aware modulation.
    """
    heads: dict[tuple[int, int, int], list[float]] = {}
    largest: dict[int, int] = {}
    for stage, _, mixer in sam_blocks(backbone):
        for head, conv in enumerate(cast(Iterable[nn.Conv2d], mixer.head_convs), 1):
            kernel = conv.kernel_size[0]
            heads.setdefault((stage, head, kernel), []).append(effective_area(conv.weight))
            largest[stage] = max(kernel, largest.get(stage, 0))
    reaches = []
    for (stage, head, kernel), areas in heads.items():
        area = sum(areas) / len(areas)
        reaches.append(HeadReach(stage, head, kernel, area, area / largest[stage] ** 2))
    return reaches

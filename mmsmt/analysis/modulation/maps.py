"""What scale-aware modulation does to an image, and how far its heads reach.

A modulation map shows, for each place, the mean absolute value of the modulator's channels: by
how much the value branch is multiplied there.

How far a head reaches is computed from its weights alone. The energy of a tap is its squared
weight; the effective area of a kernel is the participation ratio of the energies, their squared
sum over the sum of their squares: k x k for equal weights, 1 for a single tap. The relative
receptive field of a head is the mean of that over its channels, as a share of the largest
kernel's taps in the block. The SMT paper (https://arxiv.org/abs/2307.08579) speaks of a relative
receptive field too, without saying by what formula; this one is ours.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmsmt.mixers import ScaleAwareModulation


class ModulationMap(NamedTuple):
    """What one block does to one image.

    Args:
        stage: From 1.
        block: Of the stage, from 1.
        values: Shape (H, W).
    """

    stage: int
    block: int
    values: Tensor


class HeadReach(NamedTuple):
    """How far one head of a stage reaches; means over the stage's blocks.

    Args:
        stage: From 1.
        head: From 1.
        kernel: Side of its kernel.
        area: Effective area, in taps.
        relative: The same over the taps of the largest kernel.
    """

    stage: int
    head: int
    kernel: int
    area: float
    relative: float


def sam_blocks(backbone: nn.Module) -> list[tuple[int, int, ScaleAwareModulation]]:
    """Stage and block, from 1, and mixer of every scale-aware modulation.

    Raises:
        ValueError: If there is none.
    """
    stages: Any = getattr(backbone, 'stages', [])
    found = []
    for i, blocks in enumerate(stages, 1):
        for j, block in enumerate(blocks if isinstance(blocks, nn.ModuleList) else [], 1):
            mixer = getattr(block, 'mixer', None)
            if isinstance(mixer, ScaleAwareModulation):
                found.append((i, j, mixer))
    if not found:
        raise ValueError(f'{type(backbone).__name__} has no block of scale-aware modulation')
    return found


def modulation_maps(backbone: nn.Module, image: Tensor) -> list[ModulationMap]:
    """Modulation maps of all blocks for one image, in evaluation mode.

    Args:
        backbone: With blocks of scale-aware modulation.
        image: Normalised, (1, 3, H, W).

    Raises:
        ValueError: If there is no such block, or more than one image.
    """
    if image.ndim != 4 or len(image) != 1:
        raise ValueError(f'expected one image (1, 3, H, W), got {tuple(image.shape)}')
    maps: list[ModulationMap] = []
    hooks = []
    for stage, block, mixer in sam_blocks(backbone):

        def keep(module: Any, inputs: Any, _: Any, stage: int = stage, block: int = block) -> None:
            values = module.modulator(inputs[0]).abs().mean(-1)[0]
            maps.append(ModulationMap(stage, block, values.cpu()))

        hooks.append(mixer.register_forward_hook(keep))
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            backbone(image)
    finally:
        backbone.train(training)
        for hook in hooks:
            hook.remove()
    return maps


def effective_area(weights: Tensor) -> float:
    """Effective area of depth-wise kernels, in taps, mean over channels.

    Args:
        weights: Shape (C, 1, k, k), no kernel all 0.
    """
    energy = weights.detach().double().square().flatten(1)
    return (energy.sum(1).square() / energy.square().sum(1)).mean().item()


def head_reaches(backbone: nn.Module) -> list[HeadReach]:
    """How far the heads of every stage reach, by their weights.

    Raises:
        ValueError: If the backbone has no block of scale-aware modulation.
    """
    areas: dict[tuple[int, int], list[float]] = {}
    kernels: dict[tuple[int, int], int] = {}
    for stage, _, mixer in sam_blocks(backbone):
        for head, conv in enumerate(mixer.head_convs, 1):
            areas.setdefault((stage, head), []).append(effective_area(conv.weight))  # type: ignore[arg-type]
            kernels[stage, head] = conv.kernel_size[0]  # type: ignore[index, assignment]
    largest = {stage: max(k for (s, _), k in kernels.items() if s == stage) for stage, _ in kernels}
    reaches = []
    for (stage, head), found in areas.items():
        area = sum(found) / len(found)
        kernel = kernels[stage, head]
        reaches.append(HeadReach(stage, head, kernel, area, area / largest[stage] ** 2))
    return reaches

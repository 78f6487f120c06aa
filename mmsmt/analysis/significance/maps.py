"""Significance of pixels in SG-Former, and how many of them are merged into a token.

Hybrid-scale blocks compute the significance. The self-guided blocks after them merge many pixels
into a token where it is low, few where it is high. Paper: https://arxiv.org/abs/2308.12216.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from mmsmt.backbones import FourStageBackbone
from mmsmt.errors import UsageError
from mmsmt.layers import gives_significance
from mmsmt.mixers import SelfGuidedAttention
from mmsmt.mixers.self_guided import split_sizes


class BlockMap(NamedTuple):
    """A map of one block; stages and blocks are counted from 1.

    `values` (B, H, W) are the significance of a hybrid-scale block, or the number of pixels that
    share a token in a self-guided block. `runs` are its possible values in a self-guided block,
    largest first.
    """

    stage: int
    block: int
    values: Tensor
    runs: tuple[int, ...] = ()


class RankMeans(NamedTuple):
    """Mean ranks, from 0 for the least significant pixels to 1, inside and outside boxes."""

    inside: float
    outside: float


def block_maps(backbone: nn.Module, images: Tensor) -> list[BlockMap]:
    """Return the maps of all hybrid-scale and self-guided blocks, in the order of execution.

    Args:
        backbone: A backbone in eval mode.
        images: Normalised images (B, 3, H, W) of any size.

    Raises:
        UsageError: If the backbone has no hybrid-scale block.
    """
    if not isinstance(backbone, FourStageBackbone) or not any(
        gives_significance(module) for module in backbone.modules()
    ):
        raise UsageError(
            f'{type(backbone).__name__} has no hybrid-scale block to compute significance: use '
            "mmsmt.SGFormer, or `mixers` with 'hybrid_scale'"
        )
    found = backbone.significance(images)
    return [m for i, stage in enumerate(found) for m in _maps_of_stage(backbone, i, stage)]


def _maps_of_stage(
    backbone: FourStageBackbone, i: int, found: Sequence[Tensor]
) -> Iterator[BlockMap]:
    guides, guide = iter(found), Tensor()
    for j, block in enumerate(cast(nn.ModuleList, backbone.stages[i]), start=1):
        if gives_significance(cast(nn.Module, block.mixer)):
            guide = next(guides)
            yield BlockMap(i + 1, j, guide)
        elif isinstance(block.mixer, SelfGuidedAttention):
            runs = block.mixer.runs
            yield BlockMap(i + 1, j, run_lengths(guide, runs), runs)


def run_lengths(significance: Tensor, runs: Sequence[int]) -> Tensor:
    """Return how many pixels share a token with each pixel, including itself.

    Args:
        significance: (B, H, W), the shape of the result.
        runs: See `SelfGuidedAttention`. The last run of a part may have fewer pixels, but counts as
            full.
    """
    flat = significance.flatten(1)
    parts = torch.tensor(split_sizes(flat.shape[1], len(runs)), device=flat.device)
    lengths = torch.tensor(runs, device=flat.device).repeat_interleave(parts)
    order = flat.argsort(dim=1, stable=True)
    return torch.empty_like(order).scatter(1, order, lengths.expand_as(order)).view_as(significance)


def rank_pixels(values: Tensor) -> Tensor:
    """Return ranks (B, H, W) of the pixels of each image, from 0 to 1, in float64; mean 1/2.

    Equal values share their mean rank.
    """
    flat = values.flatten(1).cpu().double()
    ranks = torch.from_numpy(rankdata(flat.numpy(), axis=1))
    return ((ranks - 0.5) / flat.shape[1]).view(values.shape)


def rank_inside_outside(values: Tensor, boxes: Tensor, size: tuple[int, int]) -> RankMeans | None:
    """Compare the significance inside and outside boxes.

    The difference of the two means is the probability that a pixel inside is more significant than
    one outside, minus 1/2. A pixel is inside if its centre is.

    Args:
        values: Map of one image, (H, W).
        boxes: Left, top, right and bottom in pixels of the image, (N, 4).
        size: Height and width of the image.

    Returns:
        The means; None if all pixels are inside, or none.
    """
    height, width = values.shape
    y = (torch.arange(height) + 0.5)[:, None, None] * (size[0] / height)
    x = (torch.arange(width) + 0.5)[None, :, None] * (size[1] / width)
    left, top, right, bottom = boxes.unbind(1)
    inside = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).any(-1)
    if inside.all() or not inside.any():
        return None
    ranks = rank_pixels(values[None])[0]
    return RankMeans(ranks[inside].mean().item(), ranks[~inside].mean().item())

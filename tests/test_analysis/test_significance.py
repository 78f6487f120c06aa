"""Significance, merging and their ranks inside and outside boxes, each by other means."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mmsmt.analysis.common.figures import save_figure
from mmsmt.analysis.significance.maps import (
    BlockMap,
    block_maps,
    rank_inside_outside,
    rank_pixels,
    run_lengths,
)
from mmsmt.analysis.significance.picture import MERGED, draw_maps
from mmsmt.backbones import SMT, SGFormer
from mmsmt.errors import UsageError
from mmsmt.mixers import HybridScaleAttention, SelfGuidedAttention


@pytest.fixture(scope='module')
def backbone() -> SGFormer:
    torch.manual_seed(0)
    return SGFormer(arch='pico', depths=(4, 2, 2, 1)).eval()


@pytest.mark.parametrize('size', [(64, 64), (37, 90), (3, 5)], ids=str)
def test_a_map_for_every_block_that_guides_or_is_guided(
    backbone: SGFormer, size: tuple[int, int]
) -> None:
    """The values are what the blocks themselves give and get."""
    given: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _, __, out: given.append(out[1]))
        for module in backbone.modules()
        if isinstance(module, HybridScaleAttention)
    ]
    handles += [
        module.register_forward_pre_hook(
            lambda m, inputs: given.append(run_lengths(inputs[1], m.runs))
        )
        for module in backbone.modules()
        if isinstance(module, SelfGuidedAttention)
    ]
    maps = block_maps(backbone, torch.rand(2, 3, *size))
    for handle in handles:
        handle.remove()
    places = [(m.stage, m.block, bool(m.runs)) for m in maps]
    assert places == [
        *((1, 1, False), (1, 2, True), (1, 3, False), (1, 4, True)),
        *((2, 1, False), (2, 2, True), (3, 1, False), (3, 2, True)),
    ]
    for block_map, value in zip(maps, given, strict=True):
        assert torch.equal(block_map.values, value)


@pytest.mark.parametrize('size', [(4, 6), (5, 7), (1, 1)], ids=str)
@pytest.mark.parametrize('runs', [(4, 3, 2), (3, 1)], ids=str)
def test_run_lengths_are_those_of_the_mixer(size: tuple[int, int], runs: tuple[int, ...]) -> None:
    """A pixel's run is that of the linear layer through which its gradient comes."""
    mixer = SelfGuidedAttention(8, 2, runs)
    x, significance = torch.randn(2, *size, 8, requires_grad=True), torch.rand(2, *size)
    for merge, mark in zip(mixer.merges, (1.0, 10.0, 100.0)):
        torch.nn.init.constant_(merge.weight, mark)
    mixer.aggregate(x, significance).sum().backward()
    # The part's last pixel fills its last run up, so its gradient is a multiple.
    marks = 10.0 ** x.grad[..., 0].log10().add(1e-4).floor()
    want = sum(run * (marks == mark) for run, mark in zip(runs, (1.0, 10.0, 100.0)))
    assert torch.equal(run_lengths(significance, runs), want)


def test_other_networks_are_refused() -> None:
    for network in (SMT('pico'), SGFormer('pico', mixers=('msa',) * 4), torch.nn.Conv2d(3, 8, 3)):
        with pytest.raises(UsageError, match=f'^{type(network).__name__} has no hybrid-scale'):
            block_maps(network, torch.rand(1, 3, 32, 32))


def test_ranks() -> None:
    ranks = rank_pixels(torch.tensor([[[3.0, 1.0], [2.0, 9.0]], [[5.0, 5.0], [5.0, 7.0]]]))
    assert ranks.tolist() == [
        [[0.625, 0.125], [0.375, 0.875]],
        [[0.375, 0.375], [0.375, 0.875]],
    ]


def test_inside_and_outside_against_all_pairs_of_pixels() -> None:
    """Two boxes that overlap, by the share of pairs in which the inner pixel wins."""
    torch.manual_seed(0)
    values = torch.rand(6, 9)
    boxes = torch.tensor([[10.0, 8.0, 40.0, 30.0], [35.0, 25.0, 52.0, 44.0]])
    mask = torch.zeros(48, 90, dtype=torch.bool)  # of an image eight and ten times as large
    for left, top, right, bottom in boxes.int().tolist():
        mask[top:bottom, left:right] = True
    inside = mask[4::8, 5::10]
    pairs = values[inside][:, None] > values[~inside][None]
    got = rank_inside_outside(values, boxes, (48, 90))
    assert got.inside - got.outside == pytest.approx(pairs.double().mean().item() - 0.5)
    count = inside.sum().item()
    assert (got.inside * count + got.outside * (54 - count)) / 54 == pytest.approx(0.5)


def test_a_map_that_is_all_inside_or_all_outside_tells_nothing() -> None:
    values = torch.rand(4, 4)
    for box in ([0.0, 0.0, 64.0, 64.0], [1.0, 1.0, 3.0, 3.0]):
        assert rank_inside_outside(values, torch.tensor([box]), (64, 64)) is None


@pytest.mark.parametrize('runs', [(9, 4, 2), (2, 1)], ids=str)
def test_picture(tmp_path: Path, runs: tuple[int, ...]) -> None:
    """Its colours lie where the runs do: hardest on the left, least on the right."""
    lengths = torch.tensor(runs).repeat_interleave(12 // len(runs)).expand(1, 5, 12)
    image = Image.new('RGB', (120, 50), 'white')
    maps = [BlockMap(1, 1, torch.rand(1, 5, 12)), BlockMap(1, 2, lengths, runs)]
    save_figure(draw_maps(image, maps, 'a title'), tmp_path / 'x.png')
    with Image.open(tmp_path / 'x.png') as sheet:
        pixels = torch.from_numpy(np.array(sheet.convert('RGB'))).int()
    colors = [torch.tensor([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in MERGED]
    colors = colors if len(runs) == 3 else [colors[0], colors[2]]
    means = []
    for color in colors:  # over white, at the opacity of a map
        shade = (0.6 * color + 0.4 * 255).round()
        near = (pixels - shade).abs().amax(-1) <= 2
        assert near.sum() > 200
        means.append(near.nonzero()[:, 1].float().mean())
    assert means == sorted(means)

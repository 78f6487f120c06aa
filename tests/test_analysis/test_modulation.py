"""Modulation maps against the mixer itself; reach of kernels that are known."""

import pytest
import torch

from mmsmt.analysis.modulation.maps import effective_area, head_reaches, modulation_maps, sam_blocks
from mmsmt.backbones import SMT, SGFormer


@pytest.fixture
def backbone() -> SMT:
    torch.manual_seed(0)
    return SMT('pico')


def test_effective_area() -> None:
    assert effective_area(torch.full((4, 1, 5, 5), -0.3)) == pytest.approx(25)
    tap = torch.zeros(2, 1, 9, 9)
    tap[:, 0, 4, 4] = torch.tensor([2.0, -1.0])
    assert effective_area(tap) == pytest.approx(1)
    two = torch.zeros(1, 1, 3, 3)
    two[0, 0, 0, :2] = torch.tensor([1.0, 2.0])  # energies 1 and 4: 25 / 17
    assert effective_area(torch.cat([two, 7 * two])) == pytest.approx(25 / 17)


def test_reach_of_heads_is_that_of_their_kernels(backbone: SMT) -> None:
    for _, _, mixer in sam_blocks(backbone):
        for conv in mixer.head_convs:
            torch.nn.init.constant_(conv.weight, 0.5)
    reaches = head_reaches(backbone)
    first = [reach for reach in reaches if reach.stage == 1]
    assert [(r.head, r.kernel, round(r.area)) for r in first] == [
        (1, 3, 9),
        (2, 5, 25),
        (3, 7, 49),
        (4, 9, 81),
    ]
    assert [r.relative for r in first] == pytest.approx([9 / 81, 25 / 81, 49 / 81, 1])
    assert {r.stage for r in reaches} == {1, 2, 3}


def test_maps_are_the_modulators(backbone: SMT) -> None:
    image = torch.rand(1, 3, 64, 96)
    before = backbone.eval()(image)
    maps = modulation_maps(backbone.train(), image)
    depths = [(stage, block) for stage, block, _ in sam_blocks(backbone)]
    assert [(found.stage, found.block) for found in maps] == depths
    assert maps[0].values.shape == (16, 24) and backbone.training
    backbone.eval()
    assert torch.equal(backbone(image)[-1], before[-1])  # no hook stays
    block = backbone.stages[0][0]
    tokens = backbone.patch_embeds[0](image.permute(0, 2, 3, 1))
    x = block.norm1(tokens)
    assert torch.allclose(maps[0].values, block.mixer.modulator(x)[0].abs().mean(-1), atol=1e-6)


def test_networks_without_modulation_are_refused(backbone: SMT) -> None:
    with pytest.raises(ValueError, match='SGFormer has no scale-aware modulation'):
        head_reaches(SGFormer('pico'))
    with pytest.raises(ValueError, match=r'one image .* got \(2, 3, 64, 64\)'):
        modulation_maps(backbone, torch.rand(2, 3, 64, 64))

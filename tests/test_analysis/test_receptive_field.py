"""Receptive fields where arithmetic gives them, areas, and the trap of normalised maps."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmsmt.analysis.receptive_field.fields import (
    area_ratios,
    effective_receptive_field,
    held_shares,
    receptive_fields,
    square_area,
    to_log_scale,
)
from mmsmt.analysis.receptive_field.report import to_digits
from mmsmt.backbones import SMT

IMAGES = torch.rand(3, 3, 15, 15, generator=torch.Generator().manual_seed(0)) + 0.1


def ones_conv(channels: int = 3, groups: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False, groups=groups)
    nn.init.ones_(conv.weight)
    return conv


def test_one_convolution_sees_exactly_its_kernel() -> None:
    field = effective_receptive_field(ones_conv(), IMAGES)
    expected = torch.zeros(15, 15, dtype=torch.float64)
    expected[6:9, 6:9] = 3 * 3  # from every channel to every channel
    assert torch.equal(field, expected)


def test_weights_of_a_convolution_are_its_field() -> None:
    """A unit reaches the pixel at -offset by the weight there: correlation, absolute values."""
    conv = nn.Conv2d(3, 1, 3, padding=1, bias=False)
    field = effective_receptive_field(conv, IMAGES, rectified=False)
    weights = conv.weight.detach().double().abs().sum(dim=(0, 1))
    assert torch.allclose(field[6:9, 6:9], weights) and field.sum() == field[6:9, 6:9].sum()


def test_stack_of_two_is_the_kernel_with_itself() -> None:
    stack = nn.Sequential(ones_conv(groups=3), ones_conv(groups=3))
    field = effective_receptive_field(stack, IMAGES)
    ramp = np.convolve(np.ones(3), np.ones(3))
    assert field[5:10, 5:10].numpy() == pytest.approx(3 * np.outer(ramp, ramp))
    assert field.sum() == 3 * 81


def test_global_average_is_uniform() -> None:
    field = effective_receptive_field(nn.AdaptiveAvgPool2d(1), IMAGES)
    assert torch.allclose(field, torch.full_like(field, 3 / 225))
    # The side of a square of half the area, rounded up to an odd number: 11 of 15.
    ratios = area_ratios(field, (0.5, 1.0))
    assert ratios == {0.5: 121 / 225, 1.0: 1.0}


def test_centre_is_that_of_the_map() -> None:
    """Unit 4 of 8 at stride 2 covers pixels 8 and 9 of 16."""
    pool = nn.AvgPool2d(2)
    field = effective_receptive_field(pool, torch.ones(1, 3, 16, 16))
    assert field.nonzero().tolist() == [[8, 8], [8, 9], [9, 8], [9, 9]]


def test_every_map_has_a_field_and_modes_stay() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = ones_conv()
            self.drop = nn.Dropout(0.9)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            assert not self.training
            x = self.drop(self.conv(x))
            return x, self.conv(x)

    model = nn.ModuleDict({'backbone': Two()}).train()
    first, second = receptive_fields(model, IMAGES, batch_size=2)
    assert first.count_nonzero() == 9 and second.count_nonzero() == 25
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(effective_receptive_field(model, IMAGES, stage=0), first)


def test_images_are_averaged() -> None:
    """A ReLU lets one of two images pass, so the mean is half of what that one has alone."""
    model = nn.Sequential(ones_conv(), nn.ReLU())
    both = effective_receptive_field(model, torch.cat([IMAGES[:1], -IMAGES[:1]]))
    assert torch.equal(both, effective_receptive_field(model, IMAGES[:1]) / 2)


def test_plain_sum_says_nothing_of_normalised_maps() -> None:
    torch.manual_seed(0)
    model, images = SMT('pico', out_indices=(0,)), torch.rand(1, 3, 32, 32)
    rectified = effective_receptive_field(model, images)
    plain = effective_receptive_field(model, images, rectified=False)
    assert plain.max() < 1e-4 * rectified.max()


def test_squares() -> None:
    field = torch.zeros(7, 9)
    field[3, 4], field[2, 4], field[0, 4], field[3, 8] = 4, 2, 1, 3
    assert held_shares(field).tolist() == pytest.approx([0.4, 0.6, 0.6, 0.7, 1])
    ratios = area_ratios(field, (0.4, 0.41, 0.7, 0.71))
    assert ratios == {0.4: 1 / 63, 0.41: 9 / 63, 0.7: 49 / 63, 0.71: 1}
    assert square_area(2, (8, 8)) == 25 / 64 and square_area(4, (8, 8)) == 1


def test_log_scale_is_that_of_replknet() -> None:
    field = torch.tensor([[0.0, 9.0], [99.0, 999.0]])
    assert to_log_scale(field).tolist() == [[0, pytest.approx(1 / 3)], [pytest.approx(2 / 3), 1]]


def test_digits_are_half_decades_below_the_maximum() -> None:
    field = torch.tensor([[1.0, 0.32, 0.31], [0.101, 1.01e-4, 3e-5], [0.0, 0.0, 0.0]])
    assert to_digits(field, 3) == ['987', '710', '000']
    # A cell is a mean: here of two pixels in a row.
    assert to_digits(torch.tensor([[1.0, 0, 0.4, 0.4], [0, 0, 0, 0]]), 2) == ['98', '00']


def test_what_has_no_field_is_refused() -> None:
    with pytest.raises(ValueError, match='no gradient reaches'):
        area_ratios(torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r'at most 1, got \[0, 2\]'):
        area_ratios(torch.ones(4, 4), (0, 0.5, 2))
    with pytest.raises(ValueError, match=r'at least one image .*, got \(0, 3, 4, 4\)'):
        receptive_fields(ones_conv(), torch.zeros(0, 3, 4, 4))
    with pytest.raises(ValueError, match=r'must return maps .* got \[\(1, 48\)\]'):
        receptive_fields(nn.Flatten(), torch.zeros(1, 3, 4, 4))

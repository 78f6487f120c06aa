"""The depth-wise convolution between two linear layers, against its sum written out."""

import pytest
import torch

from mmsmt.mixers import DepthwiseConv


@pytest.mark.parametrize('kernel, size', [(7, (5, 4)), (3, (1, 6)), (7, (1, 1)), (1, (2, 2))])
def test_formula(kernel: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    mixer = DepthwiseConv(6, kernel).double()
    x = torch.randn(2, *size, 6, dtype=torch.float64)
    inner = x @ mixer.input_proj.weight.T + mixer.input_proj.bias
    reach = kernel // 2
    out = mixer.dwconv.bias.expand_as(inner).clone()
    for row in range(size[0]):
        for column in range(size[1]):
            for r in range(max(row - reach, 0), min(row + reach + 1, size[0])):
                for c in range(max(column - reach, 0), min(column + reach + 1, size[1])):
                    weight = mixer.dwconv.weight[:, 0, r - row + reach, c - column + reach]
                    out[:, row, column] += inner[:, r, c] * weight
    torch.testing.assert_close(mixer(x), out @ mixer.proj.weight.T + mixer.proj.bias)


def test_initial_weights() -> None:
    torch.manual_seed(0)
    mixer = DepthwiseConv(256)
    for layer in mixer.children():
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert not layer.bias.any()


@pytest.mark.parametrize('kernel', [0, 4, -1])
def test_kernel_that_has_no_centre(kernel: int) -> None:
    with pytest.raises(ValueError, match=f'kernel_size must be odd, got {kernel}'):
        DepthwiseConv(8, kernel)

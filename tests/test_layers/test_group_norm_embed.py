"""SG-Former's patch embeddings against the same steps in PyTorch's own layout."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmsmt.layers import ConvNormStem, SeparablePatchEmbed


def lively(module: nn.Module) -> nn.Module:
    """No weight at its initial one or zero, so that each counts."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def step(part: nn.Sequential, x: Tensor, stride: int, padding: int) -> Tensor:
    """Convolution, then one mean and one variance over the whole map of an image."""
    groups = x.shape[1] // part.conv.weight.shape[1]
    x = F.conv2d(x, part.conv.weight, None, stride, padding, groups=groups)
    centred = x - x.mean((1, 2, 3), keepdim=True)
    spread = (centred.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    return centred / spread * part.norm.weight[:, None, None] + part.norm.bias[:, None, None]


def images(height: int, width: int, channels: int) -> Tensor:
    return torch.randn(2, height, width, channels, dtype=torch.float64)


@pytest.mark.parametrize('size', [(1, 1), (3, 2), (8, 12), (9, 14)])
def test_stem(size: tuple[int, int]) -> None:
    stem = lively(ConvNormStem(3, 8))
    x = images(*size, 3)
    want = F.gelu(step(stem.conv1, x.permute(0, 3, 1, 2), 2, 1))
    want = step(stem.conv3, F.gelu(step(stem.conv2, want, 1, 1)), 2, 1).permute(0, 2, 3, 1)
    want = F.layer_norm(want, (8,), stem.norm.weight, stem.norm.bias, 1e-5)
    assert want.shape[1:3] == tuple(-(-side // 4) for side in size)
    torch.testing.assert_close(stem(x), want)


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (8, 15)])
def test_reduction(size: tuple[int, int]) -> None:
    embed = lively(SeparablePatchEmbed(6, 8))
    x = images(*size, 6)
    want = F.gelu(step(embed.conv1, x.permute(0, 3, 1, 2), 1, 0))
    want = step(embed.conv3, F.gelu(step(embed.conv2, want, 2, 1)), 1, 0)
    assert want.shape[2:] == tuple(-(-side // 2) for side in size)
    torch.testing.assert_close(embed(x), want.permute(0, 2, 3, 1))


def test_results_are_contiguous() -> None:
    for embed, channels in ((ConvNormStem(3, 8), 3), (SeparablePatchEmbed(6, 8), 6)):
        assert embed(torch.randn(2, 9, 14, channels)).is_contiguous()

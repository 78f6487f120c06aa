"""Patch embeddings against the same layers in PyTorch's own layout; sizes and epsilons."""

import pytest
import torch
from torch import Tensor, nn

from mmsmt.layers import ConvStem, PatchEmbed, TwoStepStem


def images(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.randn(2, height, width, channels)


@pytest.mark.parametrize('kernel', [3, 7])
def test_stem_is_conv_bn_relu_conv_norm(kernel: int) -> None:
    stem = ConvStem(3, 8, kernel).eval()
    nn.init.normal_(stem.bn.running_mean)
    nn.init.uniform_(stem.bn.running_var, 0.5, 2)
    plain = nn.Sequential(stem.conv1, stem.bn, nn.ReLU(), stem.conv2)
    x = images(9, 14)
    first = plain(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(stem(x), stem.norm(first))
    assert stem.conv1.weight.shape == (8, 3, kernel, kernel)
    assert stem.conv1.bias is None
    assert stem.conv2.bias is not None


@pytest.mark.parametrize('kernel', [1, 3, 5, 7])
@pytest.mark.parametrize('size', [3, 4, 5, 6, 7, 8, 33, 61, 97])
def test_stem_size_does_not_depend_on_the_kernel(size: int, kernel: int) -> None:
    out = ConvStem(1, 4, kernel)(images(size, 2 * size, 1))
    assert out.shape == (2, -(-size // 2) // 2, size // 2, 4)


def test_least_size_of_the_stem_is_exact() -> None:
    stem = ConvStem(3, 4)
    assert stem(images(stem.min_size, stem.min_size)).shape == (2, 1, 1, 4)
    with pytest.raises(RuntimeError, match='[Kk]ernel size'):
        stem(images(stem.min_size - 1, stem.min_size))


@pytest.mark.parametrize('size', [1, 2, 3, 8, 15, 24])
def test_reduction_is_conv_norm_and_rounds_up(size: int) -> None:
    embed = PatchEmbed(6, 8)
    x = images(size, size + 1, 6)
    want = embed.proj(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert want.shape[1:3] == (-(-size // 2), -(-(size + 1) // 2))
    torch.testing.assert_close(embed(x), embed.norm(want))
    assert embed.proj.bias is not None


@pytest.mark.parametrize('size', [(1, 1), (2, 5), (9, 14)])
def test_stem_of_two_steps(size: tuple[int, int]) -> None:
    stem = TwoStepStem(3, 8)
    x = images(*size)
    middle = nn.functional.gelu(stem.step1(x))
    assert middle.shape[1:] == (-(-size[0] // 2), -(-size[1] // 2), 4)
    torch.testing.assert_close(stem(x), stem.step2(middle))
    assert stem.step1.proj.bias is not None and stem.step2.proj.bias is not None


def test_epsilons() -> None:
    assert ConvStem(3, 4).norm.eps == PatchEmbed(3, 4).norm.eps == 1e-5
    assert TwoStepStem(3, 4).step1.norm.eps == TwoStepStem(3, 4).step2.norm.eps == 1e-6
    plain = PatchEmbed(3, 4, bias=False, norm_eps=1e-6)
    assert plain.norm.eps == 1e-6 and plain.proj.bias is None

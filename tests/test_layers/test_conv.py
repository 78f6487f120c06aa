"""Convolutions on channels-last maps: same numbers, no copy."""

import torch
from torch import Tensor, nn

from mmsmt.layers import conv_channels_last


def test_equals_convolution_on_channels_first() -> None:
    conv = nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2)
    x = torch.randn(2, 5, 7, 6)
    want = conv(x.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1)
    torch.testing.assert_close(conv_channels_last(conv, x), want)


def test_moves_no_data() -> None:
    class Probe(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.seen = x.data_ptr(), x.is_contiguous(memory_format=torch.channels_last)
            return x

    probe, x = Probe(), torch.randn(2, 5, 7, 6)
    out = conv_channels_last(probe, x)
    assert probe.seen == (x.data_ptr(), True)
    assert out.data_ptr() == x.data_ptr()
    assert out.shape == x.shape


def test_result_is_contiguous() -> None:
    for conv in (nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 4, 1), nn.BatchNorm2d(6)):
        assert conv_channels_last(conv, torch.randn(2, 5, 7, 6)).is_contiguous(), conv

"""The compiled operators have no CPU form: the reference is torch's convolution of all pixels."""

import mmcv.ops.masked_conv as host
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from mmsmt.ops import masked_conv


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, 'ext_module', masked_conv)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('kernel', [(3, 3), (1, 1), (5, 3)])
@pytest.mark.parametrize('share', [0.0, 0.4, 1.0])
def test_chosen_pixels_are_those_of_a_convolution(
    share: float, kernel: tuple[int, int], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    layer = host.MaskedConv2d(3, 4, kernel, padding=(kernel[0] // 2, kernel[1] // 2)).to(dtype)
    x, mask = torch.randn(1, 3, 5, 6, dtype=dtype), torch.rand(1, 5, 6) < share
    with torch.no_grad():
        assert_close(layer(x, mask), layer(x) * mask, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_columns_are_those_of_unfold(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 4, 5).to(dtype)
    y, x_index = torch.ones(4, 5).nonzero(as_tuple=True)
    columns = torch.full((2 * 3 * 3, 20), 7.0, dtype=dtype)
    masked_conv.masked_im2col_forward(x, y, x_index, columns, 3, 3, 1, 1)
    assert_close(columns, F.unfold(x.float(), 3, padding=1)[0].to(dtype), rtol=0, atol=0)


def test_neighbourhoods_wholly_outside_are_zero() -> None:
    columns = torch.full((4, 2), 7.0)
    y, x = torch.tensor([0, 9]), torch.tensor([0, 0])
    masked_conv.masked_im2col_forward(torch.ones(1, 1, 3, 3), y, x, columns, 2, 2, 5, 0)
    assert columns[:, 0].eq(0).all() and columns[:, 1].eq(0).all()


def test_other_pixels_stay() -> None:
    image = torch.full((1, 2, 2, 3), 7.0)
    y, x = torch.tensor([1, 0]), torch.tensor([2, 0])
    masked_conv.masked_col2im_forward(torch.tensor([[1.0, 2], [3, 4]]), y, x, image, 2, 3, 2)
    assert_close(image[0, 0], torch.tensor([[2.0, 7, 7], [7, 7, 1]]))
    assert_close(image[0, 1], torch.tensor([[4.0, 7, 7], [7, 7, 3]]))


def test_no_chosen_pixels() -> None:
    none = torch.zeros(0).long()
    columns, image = torch.zeros(9, 0), torch.ones(1, 1, 3, 3)
    masked_conv.masked_im2col_forward(image, none, none, columns, 3, 3, 1, 1)
    masked_conv.masked_col2im_forward(torch.zeros(1, 0), none, none, image, 3, 3, 1)
    assert image.eq(1).all()


def test_pixels_past_the_end_are_a_runtime_error() -> None:
    layer, x = host.MaskedConv2d(1, 1, 3), torch.ones(1, 1, 4, 4)  # output is 2 x 2
    with pytest.raises(RuntimeError):
        layer(x, torch.ones(1, 4, 4))

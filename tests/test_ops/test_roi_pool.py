"""RoIPool against its definition: compiled mmcv has no form of it for a CPU."""

from math import ceil, floor

import mmcv.ops
import pytest
import torch
from box_operators import check_halves, use_ours
from torch import Tensor

from mmsmt.ops.roi_pool import roi_pool_forward


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_ours(monkeypatch)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0)).double()


ROIS = torch.tensor(
    [
        [0, 1.2, 2.3, 8.9, 7.7],
        [1, 3.0, 3, 3, 3],
        [1, -6.0, -4.5, 5.3, 4.2],
        [0, 7.0, 6.5, 17, 14],
        [0, 40.0, 40, 48, 45],
        [1, 0.0, 0, 10, 8],
        [1, 6.0, 6, 2, 3],
    ],
    dtype=torch.float64,
)


def defined(
    x: Tensor, rois: Tensor, pooled: tuple[int, int], scale: float
) -> tuple[Tensor, Tensor]:
    """The highest pixel that a bin touches, and where the first one of it is."""
    result = torch.zeros(len(rois), x.shape[1], *pooled, dtype=x.dtype)
    argmax = torch.full(result.shape, -1, dtype=torch.int)
    height, width = x.shape[2:]
    for r, roi in enumerate(rois):
        left, top = float(roi[1] * scale), float(roi[2] * scale)
        roi_w, roi_h = float((roi[3] + 1) * scale) - left, float((roi[4] + 1) * scale) - top
        if roi_w <= 0 or roi_h <= 0:
            continue
        for i in range(pooled[0]):
            for j in range(pooled[1]):
                rows = range(
                    max(floor(i * roi_h / pooled[0] + top), 0),
                    min(ceil((i + 1) * roi_h / pooled[0] + top), height),
                )
                columns = range(
                    max(floor(j * roi_w / pooled[1] + left), 0),
                    min(ceil((j + 1) * roi_w / pooled[1] + left), width),
                )
                for c in range(x.shape[1]):
                    pixels = [
                        (-float(x[int(roi[0]), c, a, b]), a * width + b)
                        for a in rows
                        for b in columns
                    ]
                    value, place = min(pixels, default=(0.0, -1))
                    result[r, c, i, j], argmax[r, c, i, j] = -value, place
    return result, argmax


def both(x: Tensor, rois: Tensor, pooled: tuple[int, int], scale: float) -> tuple[Tensor, Tensor]:
    output = x.new_zeros(len(rois), x.shape[1], *pooled)
    argmax = torch.zeros(output.shape, dtype=torch.int)
    roi_pool_forward(x, rois, output, argmax, *pooled, scale)
    return output, argmax


@pytest.mark.parametrize('scale', [1.0, 0.5])
@pytest.mark.parametrize('pooled', [(1, 1), (2, 3), (7, 7)])
def test_results_are_the_defined_ones(x: Tensor, pooled: tuple[int, int], scale: float) -> None:
    found, expected = both(x, ROIS, pooled, scale), defined(x, ROIS, pooled, scale)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert torch.equal(mmcv.ops.roi_pool(x, ROIS, pooled, scale), expected[0])


def test_of_equal_pixels_the_first_one_counts(x: Tensor) -> None:
    level = x.round()
    assert torch.equal(both(level, ROIS, (2, 2), 1.0)[1], defined(level, ROIS, (2, 2), 1.0)[1])


def test_gradients_go_to_the_maxima(x: Tensor) -> None:
    plain = x.clone().requires_grad_()
    pooled = mmcv.ops.roi_pool(plain, ROIS, (2, 3), 1.0)
    weights = torch.randn(pooled.shape, dtype=x.dtype)
    (pooled * weights).sum().backward()
    expected = torch.zeros_like(x)
    argmax = defined(x, ROIS, (2, 3), 1.0)[1]
    for r, roi in enumerate(ROIS):
        for c in range(3):
            for place, weight in zip(argmax[r, c].flatten(), weights[r, c].flatten()):
                if place >= 0:
                    expected[int(roi[0]), c].view(-1)[place] += weight
    torch.testing.assert_close(plain.grad, expected)


def test_gradients_are_slopes(x: Tensor) -> None:
    values = x[:, :1, :7, :8].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: mmcv.ops.roi_pool(t, ROIS, 2), values)


def test_half_types_are_rounded_once(x: Tensor) -> None:
    check_halves('roi_pool', [x, ROIS, 3, 0.5])


def test_values_below_the_lowest_number_have_no_maximum(x: Tensor) -> None:
    output, argmax = both(torch.full_like(x, -torch.inf), ROIS[:1], (1, 1), 1.0)
    assert torch.equal(output, torch.full_like(output, torch.finfo(torch.float32).min))
    assert torch.equal(argmax, torch.full_like(argmax, -1))


def test_nothing_gives_nothing(x: Tensor) -> None:
    assert mmcv.ops.roi_pool(x, ROIS[:0], 2).shape == (0, 3, 2, 2)
    assert mmcv.ops.roi_pool(x[:0], ROIS[:0], 2).shape == (0, 3, 2, 2)


def test_types_and_images_that_do_not_fit_are_refused(x: Tensor) -> None:
    with pytest.raises(RuntimeError, match='expected'):
        mmcv.ops.roi_pool(x, ROIS.float(), 2)
    with pytest.raises(RuntimeError, match='in a batch of 1'):
        mmcv.ops.roi_pool(x[:1], ROIS, 2)

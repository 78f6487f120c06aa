"""RoIAlign of rotated RoIs computes what compiled mmcv computes."""

import mmcv.ops
import pytest
import torch
from box_operators import Case, cases, check, check_halves, use_ours
from torch import Tensor

from mmsmt.ops import roi_bins


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_ours(monkeypatch)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))


ROI = torch.tensor([[1.0, 5.2, 4.3, 6.1, 4.2, 0.6], [0, 1, 2, 8, 9, -2]])


@pytest.mark.parametrize('case', cases('roi_align_rotated'))
def test_results_and_gradients_are_those_of_the_compiled_operator(case: Case) -> None:
    check(case)


@pytest.mark.parametrize('case', cases('roi_align_rotated'))
def test_rois_taken_in_parts_give_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roi_bins, 'SAMPLES', 30)
    check(case)


@pytest.mark.parametrize('samples', [30, 1 << 20])
def test_half_types_are_rounded_once(
    x: Tensor, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roi_bins, 'SAMPLES', samples)
    check_halves('roi_align_rotated', [x, ROI, 3, 0.5, 2])


def test_without_an_angle_it_is_the_plain_operator(x: Tensor) -> None:
    plain = torch.tensor([[1.0, 2, 1, 8, 7]])
    turned = torch.tensor([[1.0, 5, 4, 6, 6, 0]])
    torch.testing.assert_close(
        mmcv.ops.roi_align_rotated(x, turned, 3, 1.0, 2), mmcv.ops.roi_align(x, plain, 3, 1.0, 2)
    )


def test_sizes_below_zero_are_refused_or_made_one(x: Tensor) -> None:
    roi = torch.tensor([[0, 4.0, 4, -1, 3, 0]])
    with pytest.raises(RuntimeError, match='roi_width >= 0'):
        mmcv.ops.roi_align_rotated(x, roi, 2, 1.0)
    one = torch.tensor([[0, 4.0, 4, 1, 3, 0]])
    found = mmcv.ops.roi_align_rotated(x, roi, 2, 1.0, 0, False)
    torch.testing.assert_close(found, mmcv.ops.roi_align_rotated(x, one, 2, 1.0, 0, False))


def test_types_shapes_and_images_that_do_not_fit_are_refused(x: Tensor) -> None:
    with pytest.raises(RuntimeError, match='expected'):
        mmcv.ops.roi_align_rotated(x, ROI.double(), 2, 1.0)
    with pytest.raises(RuntimeError, match='must be'):
        mmcv.ops.roi_align_rotated(x, ROI[:, 1:], 2, 1.0)
    with pytest.raises(RuntimeError, match='in a batch of 1'):
        mmcv.ops.roi_align_rotated(x[:1], ROI, 2, 1.0)


def test_no_channels_give_no_features(x: Tensor) -> None:
    assert mmcv.ops.roi_align_rotated(x[:, :0], ROI, 2, 1.0).shape == (2, 0, 2, 2)

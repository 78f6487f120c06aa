"""RoIAlign on torchvision and torch computes what compiled mmcv computes."""

import mmcv.ops
import pytest
import torch
from box_operators import Case, cases, check, check_halves, use_ours
from torch import Tensor

from mmsmt.ops import roi_align, roi_bins


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_ours(monkeypatch)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))


ROI = torch.tensor([[1.0, 1.2, 2.3, 8.9, 7.7], [0, -3, 2, 5, 9]])


@pytest.mark.parametrize('case', cases('roi_align'))
def test_results_and_gradients_are_those_of_the_compiled_operator(case: Case) -> None:
    check(case)


@pytest.mark.parametrize('case', cases('roi_align'))
def test_rois_taken_in_parts_give_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roi_bins, 'SAMPLES', 30)
    check(case)


@pytest.mark.parametrize('case', [c for c in cases('roi_align') if str(c.id).startswith('avg')])
def test_the_way_of_other_devices_gives_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roi_align, '_by_rows', lambda x: False)
    check(case)


@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('ratio', [0, 2])
def test_half_types_are_rounded_once(x: Tensor, mode: str, ratio: int) -> None:
    # mmcv keeps the places of maxima in the half type: their gradients are rounded before.
    check_halves('roi_align', [x, ROI, 3, 0.5, ratio, mode], needs_grad=mode == 'avg')


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_features_and_gradients_may_lie_in_memory_in_any_way(x: Tensor, mode: str) -> None:
    expected = mmcv.ops.roi_align(x, ROI, 3, 1.0, 0, mode)
    for view in (x.to(memory_format=torch.channels_last), x.mT.contiguous().mT):
        moved = view.clone(memory_format=torch.preserve_format).requires_grad_()
        found = mmcv.ops.roi_align(moved, ROI, 3, 1.0, 0, mode)
        torch.testing.assert_close(found, expected)
        found.mT.contiguous().mT.square().sum().backward()
        plain = x.clone().requires_grad_()
        mmcv.ops.roi_align(plain, ROI, 3, 1.0, 0, mode).square().sum().backward()
        torch.testing.assert_close(moved.grad, plain.grad)


@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_rois_that_end_before_they_start_are_refused(x: Tensor, mode: str) -> None:
    with pytest.raises(RuntimeError, match='roi_width >= 0'):
        mmcv.ops.roi_align(x, torch.tensor([[0, 5.0, 5, 1, 1]]), 2, 1.0, 2, mode)


@pytest.mark.parametrize('image', [2.0, -1.0, float('nan')])
def test_rois_of_an_image_that_is_not_there_are_refused(x: Tensor, image: float) -> None:
    rois = torch.tensor([[image, 1.0, 1, 5, 5]])
    with pytest.raises(RuntimeError, match='in a batch of 2'):
        mmcv.ops.roi_align(x, rois, 2)
    with pytest.raises(RuntimeError, match='in a batch of 0'):
        mmcv.ops.roi_align(x[:0], torch.tensor([[0.0, 1, 1, 5, 5]]), 2)


def test_a_batch_or_a_map_without_elements_gives_none(x: Tensor) -> None:
    assert mmcv.ops.roi_align(x[:0], torch.zeros(0, 5), 2).shape == (0, 3, 2, 2)
    empty = x[:, :0].clone().requires_grad_()
    pooled = mmcv.ops.roi_align(empty, ROI, 2)
    pooled.sum().backward()
    assert pooled.shape == (2, 0, 2, 2)
    assert empty.grad.shape == empty.shape


def test_types_and_shapes_that_do_not_fit_are_refused(x: Tensor) -> None:
    with pytest.raises(RuntimeError, match='expected'):
        mmcv.ops.roi_align(x, ROI.double(), 2)
    with pytest.raises(RuntimeError, match='must be'):
        roi_bins.check_rois(x, ROI[:, 1:], 5, torch.zeros(2, 3, 2, 2))
    with pytest.raises(RuntimeError, match='pooled'):
        roi_bins.check_rois(x, ROI, 5, torch.zeros(1, 3, 2, 2))


def test_gradients_of_the_maximum_are_its_slope() -> None:
    values = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 0.6, 0.7, 5.3, 4.9]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: mmcv.ops.roi_align(t, rois, 2, 1.0, 2, 'max'), values)

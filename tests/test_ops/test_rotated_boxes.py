"""Overlap and suppression of rotated boxes are those of compiled mmcv."""

import mmcv.ops
import pytest
import torch
from box_operators import Case, cases, check, check_halves, use_ours
from torch import Tensor

from mmsmt.ops import nms, rotated_boxes
from mmsmt.ops.rotated_boxes import intersections, nms_rotated


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_ours(monkeypatch)


def boxes(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 5, generator=torch.Generator().manual_seed(seed)).double() * 20 + 1


@pytest.mark.parametrize('case', cases('rotated_boxes'))
@pytest.mark.parametrize('in_parts', [False, True])
def test_results_are_those_of_the_compiled_operator(
    case: Case, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_parts:
        monkeypatch.setattr(rotated_boxes, 'PAIRS', 100)
        monkeypatch.setattr(nms, 'BLOCK', 7)
    # Both are sums of products of float32 coordinates up to 100, taken in another order.
    check(case, atol=1e-5)


def test_common_area_is_that_of_many_points() -> None:
    first, second = boxes(30), boxes(30, 1)
    steps = (torch.arange(400).double() + 0.5) / 400 - 0.5
    v, u = torch.meshgrid(steps, steps, indexing='ij')
    for one, other, area in zip(first, second, intersections(first, second)):
        x, y, w, h, angle = one
        px = x + u * w * angle.cos() - v * h * angle.sin() - other[0]
        py = y + u * w * angle.sin() + v * h * angle.cos() - other[1]
        along = px * other[4].cos() + py * other[4].sin()
        across = py * other[4].cos() - px * other[4].sin()
        inside = (along.abs() <= other[2] / 2) & (across.abs() <= other[3] / 2)
        assert abs(inside.double().mean() * w * h - area) < 2e-2 * max(1.0, float(w * h) / 40)


def test_common_area_is_symmetric_and_does_not_depend_on_the_frame() -> None:
    first, second = boxes(50), boxes(50, 1)
    area = intersections(first, second)
    torch.testing.assert_close(intersections(second, first), area)
    turned = torch.tensor([0, 0, 0, 0, 2 * torch.pi], dtype=torch.float64)
    torch.testing.assert_close(intersections(first + turned, second), area)
    quarter = torch.stack(
        (first[:, 0], first[:, 1], first[:, 3], first[:, 2], first[:, 4] + torch.pi / 2), 1
    )
    torch.testing.assert_close(intersections(quarter, second), area)


def test_boxes_without_a_turn_overlap_as_plain_ones() -> None:
    rotated = boxes(30)
    rotated[:, 4] = 0
    half = rotated[:, 2:4] / 2
    plain = torch.cat((rotated[:, :2] - half, rotated[:, :2] + half), 1)
    torch.testing.assert_close(
        mmcv.ops.box_iou_rotated(rotated, rotated), mmcv.ops.bbox_overlaps(plain, plain)
    )


def test_half_types_are_rounded_once() -> None:
    check_halves('box_iou_rotated', [boxes(8).float(), boxes(8, 1).float()], needs_grad=False)


def test_boxes_of_other_labels_are_kept() -> None:
    same = torch.tensor([[5, 5, 4, 4, 0.3]]).repeat(4, 1)
    scores = torch.tensor([0.6, 0.9, 0.8, 0.7])
    labels = torch.tensor([0.0, 1, 0, 1])
    assert mmcv.ops.nms_rotated(same, scores, 0.5)[1].tolist() == [1]
    assert mmcv.ops.nms_rotated(same, scores, 0.5, labels)[1].tolist() == [1, 2]


def test_a_pair_at_the_threshold_keeps_one_box() -> None:
    two = torch.tensor([[1, 0.5, 2, 1, 0], [0.5, 0.5, 1, 1, 0]])
    assert mmcv.ops.nms_rotated(two, torch.tensor([0.9, 0.8]), 0.5)[1].tolist() == [0]
    assert mmcv.ops.nms_rotated(two, torch.tensor([0.9, 0.8]), 0.501)[1].tolist() == [0, 1]


def test_nothing_gives_nothing() -> None:
    none = torch.zeros(0, 5)
    order = torch.zeros(0, dtype=torch.long)
    assert nms_rotated(none, none[:, 0], order, none, order, 0.5, 0).dtype == torch.long


def test_types_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(RuntimeError, match='expected boxes'):
        mmcv.ops.box_iou_rotated(boxes(2).float(), boxes(2))
    with pytest.raises(RuntimeError, match='must be'):
        mmcv.ops.box_iou_rotated(boxes(2)[:, :4], boxes(2))
    order = torch.arange(2)
    with pytest.raises(RuntimeError, match='sorted boxes'):
        nms_rotated(boxes(2), boxes(2)[:, 0], order, boxes(2), order, 0.5, 1)

"""Overlaps of boxes are those of compiled mmcv."""

import mmcv.ops
import pytest
import torch
from box_operators import Case, cases, check, check_halves, use_ours

from mmsmt.ops.bbox import bbox_overlaps

BOXES = torch.tensor([[0, 0, 10, 10], [10, 10, 20, 20.5], [32, 32, 38.25, 42], [3, 4, 12, 15]])


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_ours(monkeypatch)


@pytest.mark.parametrize('case', cases('bbox'))
def test_overlaps_are_those_of_the_compiled_operator(case: Case) -> None:
    check(case)


@pytest.mark.parametrize('mode', ['iou', 'iof'])
def test_half_types_are_rounded_once(mode: str) -> None:
    check_halves('bbox_overlaps', [BOXES, BOXES, mode], needs_grad=False)


def test_whole_numbers_are_cut_off() -> None:
    whole = BOXES.long()
    assert torch.equal(mmcv.ops.bbox_overlaps(whole, whole), torch.eye(4, dtype=torch.long))


def test_a_result_of_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match='size of tensor'):
        bbox_overlaps(BOXES, BOXES, torch.zeros(3, 3), 0, False, 0)

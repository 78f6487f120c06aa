"""Hard and soft suppression and its groups are those of compiled mmcv."""

import mmcv.ops
import pytest
import torch
from box_operators import Case, cases, check, use_ours
from torch import Tensor

from mmsmt.ops import nms as module
from mmsmt.ops.nms import nms, nms_match, softnms, suppressors


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    use_ours(monkeypatch)


def boxes(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(count, 2, generator=generator) * 60
    return torch.cat((corner, corner + torch.rand(count, 2, generator=generator) * 40 + 1), 1)


@pytest.mark.parametrize('case', cases('nms'))
def test_results_are_those_of_the_compiled_operator(case: Case) -> None:
    check(case)


@pytest.mark.parametrize('case', [c for c in cases('nms') if str(c.id).startswith('match')])
def test_groups_do_not_depend_on_the_block(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'BLOCK', 7)
    check(case)


@pytest.mark.parametrize('block', [1, 3, 64])
@pytest.mark.parametrize('density', [0.02, 0.3, 1.0])
def test_suppressors_are_found_as_one_by_one(
    density: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, 'BLOCK', block)
    hits = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) < density
    owner = list(range(40))
    for i in range(40):
        if owner[i] == i:
            for j in range(i + 1, 40):
                if owner[j] == j and hits[i, j]:
                    owner[j] = i
    found = suppressors(40, lambda a, b: hits[a][:, b], torch.device('cpu'))
    assert found.tolist() == owner


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_keep_the_boxes_that_float32_keeps(dtype: torch.dtype) -> None:
    rounded = boxes(60).to(dtype)
    scores = (torch.randperm(60, generator=torch.Generator().manual_seed(2)) / 64).to(dtype)
    kept = nms(rounded.float(), scores.float(), 0.4, 0)
    assert torch.equal(nms(rounded, scores, 0.4, 0), kept)
    dets, exact = (torch.zeros(60, 5, dtype=t) for t in (dtype, torch.float32))
    inds = softnms(rounded, scores, dets, 0.3, 0.5, 0.1, 1, 0)
    assert torch.equal(inds, softnms(rounded.float(), scores.float(), exact, 0.3, 0.5, 0.1, 1, 0))
    torch.testing.assert_close(dets, exact.to(dtype), rtol=1e-6, atol=1e-7)
    groups = nms_match(torch.cat((rounded, scores[:, None]), 1), 0.4)
    assert [group[0] for group in groups] == kept.tolist()


@pytest.mark.parametrize('kind', ['nms', 'soft_nms'])
def test_batched_suppression_keeps_boxes_of_other_classes(kind: str) -> None:
    same = torch.tensor([[0, 0, 10, 10.0]]).repeat(4, 1)
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 1, 1])
    config = dict(type=kind, iou_threshold=0.5)
    if kind == 'soft_nms':
        config['min_score'] = 0.3
    dets, kept = mmcv.ops.batched_nms(same, scores, labels, config)
    assert kept.tolist() == [0, 2]
    torch.testing.assert_close(dets[:, 4], torch.tensor([0.9, 0.7]))


def test_columns_after_the_fourth_are_no_coordinates() -> None:
    four = boxes(20)
    scores = torch.arange(20.0)
    assert torch.equal(nms(torch.cat((four, four), 1), scores, 0.5, 0), nms(four, scores, 0.5, 0))
    whole = four.long()
    assert torch.equal(nms(whole, scores, 0.5, 0), nms(whole.double(), scores, 0.5, 0))


def test_an_unknown_method_lowers_no_score() -> None:
    dets = torch.zeros(20, 5)
    scores = torch.arange(20.0)
    inds = softnms(boxes(20), scores, dets, 0.5, 0.5, 0.0, 3, 0)
    assert torch.equal(dets[:, 4], scores[inds])


@pytest.mark.parametrize('scores', [torch.zeros(3), torch.zeros(4, 1)])
def test_shapes_that_do_not_fit_are_refused(scores: Tensor) -> None:
    with pytest.raises(RuntimeError, match='of nms'):
        nms(boxes(4), scores, 0.5, 0)
    with pytest.raises(RuntimeError, match='of softnms'):
        softnms(boxes(4), scores, torch.zeros(4, 5), 0.5, 0.5, 0.0, 0, 0)
    with pytest.raises(RuntimeError, match='of nms_match'):
        nms_match(boxes(4), 0.5)

"""Boxes of deltas, as mmdet's coder makes them."""

import pytest
import torch
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

from mmsmt.deploy.detections.boxes import best, decode, take


@pytest.mark.parametrize('clips', [True, False])
def test_decode(clips: bool) -> None:
    """Of deltas, too, that would make a box larger than mmdet allows."""
    coder = DeltaXYWHBBoxCoder((0.1, 0.2, 0.0, 0.3), (0.1, 0.2, 0.3, 0.4), clip_border=clips)
    torch.manual_seed(0)
    priors, deltas = torch.rand(50, 4) * 60, torch.randn(50, 4) * 8
    priors[:, 2:] += priors[:, :2]
    expected = coder.decode(priors, deltas, max_shape=(70, 90))
    torch.testing.assert_close(decode(coder, priors, deltas, (70, 90)), expected)


def test_best_of_fewer() -> None:
    scores, index = best(torch.tensor([[0.1, 0.7]]), 3)
    assert scores[0].tolist() == pytest.approx([0.7, 0.1, -1.0])
    assert take(torch.tensor([[[1.0], [2.0]]]), index).flatten().tolist() == [2.0, 1.0, 2.0]

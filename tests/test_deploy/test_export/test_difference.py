"""By how much results differ."""

import pytest
import torch

from mmsmt.deploy.export.difference import relative_difference


def test_relative_difference() -> None:
    assert relative_difference(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 5.0])) == (
        pytest.approx(1 / 17**0.5)
    )
    assert relative_difference(torch.zeros(2), torch.zeros(3)) == float('inf')

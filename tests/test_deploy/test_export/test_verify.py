"""Comparison of a file with the host: how many images have to agree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mmsmt.backbones import SGFormer
from mmsmt.deploy.export.tasks import Task
from mmsmt.deploy.export.verify import check
from mmsmt.errors import UsageError
from mmsmt.hosts.model import LoadedModel

IMAGES = [Image.new('RGB', (8, 6), (i, 0, 0)) for i in range(10)]


class Deviating:
    """A file whose result for some images is off by 1, or by `error`."""

    runtime = 'a runtime'

    def __init__(self, wrong: Sequence[int], error: float = 1.0) -> None:
        self.wrong, self.error = wrong, error

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        red = pixels[:, 0, 0, 0]
        return {'scores': 1.0 + red + np.where(np.isin(red, self.wrong), self.error, 0.0)}


def run(session: Any, ranks: bool, model: nn.Module | None = None) -> list:
    def expect(_: LoadedModel, images: Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        return {'scores': torch.tensor([1.0 + np.asarray(image)[0, 0, 0] for image in images])}

    task = Task('numbers', lambda *_: {}, expect, ranks=ranks)
    return check(session, LoadedModel('x', model or nn.Identity(), ''), task, IMAGES)


def test_all_images_have_to_agree() -> None:
    whole, odd = run(Deviating([]), ranks=False)
    assert (whole.images, whole.height, whole.width) == (10, 6, 8)
    assert (odd.images, odd.height, odd.width) == (1, 5, 11)
    assert whole.agreeing is None and whole.differences == {'scores': 0}
    with pytest.raises(UsageError, match='for 10 images of 6 x 8, scores in a runtime differs by'):
        run(Deviating([7]), ranks=False)


@pytest.mark.parametrize('error', [1.0, float('nan'), float('inf')])
def test_half_of_the_images_if_pixels_are_ranked(error: float) -> None:
    whole, odd = run(Deviating([0, 2, 4, 6, 8], error), ranks=True)
    assert (whole.agreeing, odd.images, odd.agreeing) == (5, 8, 4)
    assert whole.differences == {'scores': 0}  # of those that agree
    with pytest.raises(UsageError, match='for more than half of 10 images of 6 x 8, scores'):
        run(Deviating([0, 2, 4, 6, 8, 9], error), ranks=True)


def test_sg_former_ranks_pixels() -> None:
    whole, _ = run(Deviating([3]), ranks=False, model=SGFormer('pico'))
    assert whole.agreeing == 9

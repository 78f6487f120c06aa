"""Comparison of detections."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmsmt.deploy.detections.compare import differences

Named = dict[str, Tensor]


def pair(count: int = 3, capacity: int = 4) -> tuple[Named, Named]:
    """What a file gives and what is expected: two images, the second without detections."""
    torch.manual_seed(0)
    expected = {
        'boxes': torch.rand(2, count, 4) * 100,
        'scores': torch.linspace(0.9, 0.3, count).repeat(2, 1),
        'labels': torch.arange(count).repeat(2, 1),
        'count': torch.tensor([count, 0]),
        'masks': torch.rand(2, count, 5, 5),
    }
    found = {name: value.clone() for name, value in expected.items()}
    for name in ('boxes', 'scores', 'labels', 'masks'):
        shape = list(found[name].shape)
        shape[1] = capacity - count
        found[name] = torch.cat([found[name], found[name].new_zeros(shape)], 1)
    return found, expected


def test_equal() -> None:
    assert differences(*pair()) == dict(count=0, boxes=0, scores=0, masks=0)


def test_order_does_not_count() -> None:
    found, expected = pair()
    order = [2, 0, 1, 3]
    found = {name: x if name == 'count' else x[:, order] for name, x in found.items()}
    assert max(differences(found, expected).values()) == 0


@pytest.mark.parametrize(
    ('name', 'change', 'expected'),
    [
        ('boxes', lambda x: x + 0.5, dict(boxes=0.5)),
        ('boxes', lambda x: x * torch.nan, dict(boxes=torch.nan)),
        ('labels', lambda x: x + 1, dict(boxes=torch.inf)),
        ('scores', lambda x: x + 0.25, dict(scores=0.25)),
        ('scores', lambda x: x * torch.nan, dict(scores=torch.nan)),
        ('masks', lambda x: x + 0.125, dict(masks=0.125)),
        ('count', lambda x: x + 1, dict(count=2)),
        ('count', lambda x: x.flip(0), dict(count=2)),
    ],
)
def test_changes_are_seen(
    name: str, change: Callable[[Tensor], Tensor], expected: dict[str, float]
) -> None:
    found, wanted = pair()
    found[name] = change(found[name])
    result = differences(found, wanted)
    for key in expected:
        assert result[key] == pytest.approx(expected[key], abs=1e-5, nan_ok=True)


def test_one_wrong_box_of_many_is_seen() -> None:
    found, expected = pair()
    found['boxes'][0, 1, 3] += 1
    assert differences(found, expected)['boxes'] == pytest.approx(1)


def test_either_of_equal_scores_may_be_the_last() -> None:
    found, expected = pair(count=4, capacity=4)
    found['boxes'][0, 3] += 50
    assert max(differences(found, expected).values()) == 0
    found['boxes'][0, 2] += 50
    assert differences(found, expected)['boxes'] == pytest.approx(50)


def pair_of_images() -> tuple[Named, Named]:
    """Masks of whole images, of 200 x 100 pixels in each of three boxes."""
    found, expected = pair()
    for named in (found, expected):
        named['masks'] = torch.zeros(2, named['boxes'].shape[1], 300, 300, dtype=torch.bool)
        named['masks'][0, :3, :200, :100] = True
    return found, expected


def test_masks_of_images() -> None:
    """Pixels of the union count, not those of the image."""
    found, expected = pair_of_images()
    assert differences(found, expected)['masks'] == 0
    found['masks'][0, 1, :50, :100] = False
    found['masks'][0, 2, 200:210, :100] = True
    share = (5000 + 1000) / (3 * 20000 + 1000)
    assert differences(found, expected)['masks'] == pytest.approx(share)


def test_the_worst_image_counts() -> None:
    found, expected = pair_of_images()
    for named in (found, expected):
        for name in ('boxes', 'scores', 'labels', 'count', 'masks'):
            named[name][1] = named[name][0]
    found['masks'][1, 0, :30, :100] = False
    assert differences(found, expected)['masks'] == pytest.approx(3000 / 60000)


def test_a_pixel_of_few() -> None:
    found, expected = pair_of_images()
    for named in (found, expected):
        named['masks'][...] = False
        named['masks'][0, 0, :10, :10] = True
    found['masks'][0, 0, 0, 0] = False
    assert differences(found, expected)['masks'] == pytest.approx(1e-3)
    found['masks'][...] = False
    assert differences(found, expected)['masks'] == pytest.approx(0.1)


def test_masks_of_another_size() -> None:
    found, expected = pair_of_images()
    found['masks'] = found['masks'][..., :299]
    assert differences(found, expected)['masks'] == torch.inf

"""Comparison of two sets of detections, box by box."""

import torch
from torch import Tensor

# Pixels for boxes; float32 is accurate to about 1e-4 pixels and 1e-5 in a score.
LIMITS = {'count': 0.0, 'boxes': 0.01, 'scores': 1e-4, 'masks': 1e-3}
# Minimum number of pixels that the masks of an image count as, so that one pixel whose probability
# equals the threshold up to rounding never exceeds the limit.
FEWEST_PIXELS = 1000


def differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Return the largest differences of detections from the nearest one with the same label.

    Boxes with equal scores may be in any order, or only some of them among the best K: boxes with
    the score of the last one, within 1e-4, are ignored if K is reached.

    Returns:
        `count`: number of images with another number of detections, which are not compared further;
            `boxes` in pixels, infinite if a label has none; `scores`, and `masks` if there are any.
            For masks of whole images, bool, that is the share of the pixels of all masks in an
            image.
    """
    worst = {name: [torch.zeros(())] for name in LIMITS if name in expected}
    capacity = found['scores'].shape[1]
    for image, number in enumerate(expected['count'].tolist()):
        if found['count'][image] != number:
            worst['count'].append(worst['count'][-1] + 1)
            continue
        if not number:
            continue
        mine, other = (
            {n: x[image, :number] for n, x in e.items() if n != 'count'} for e in (found, expected)
        )
        distance = (mine['boxes'][:, None] - other['boxes']).abs().amax(-1)
        distance = distance.masked_fill(mine['labels'][:, None] != other['labels'], torch.inf)
        nearest, index = distance.min(0)
        compared = torch.ones(number, dtype=torch.bool)
        if number == capacity:
            compared = other['scores'] > other['scores'].min() + LIMITS['scores']
        worst['boxes'] += [nearest[compared].amax()] if compared.any() else []
        for name in ('scores', 'masks'):
            if name in worst and compared.any():
                worst[name].append(_gap(mine[name][index][compared], other[name][compared]))
    return {name: torch.stack(each).amax().item() for name, each in worst.items()}


def _gap(found: Tensor, expected: Tensor) -> Tensor:
    """Return the largest difference; for masks of whole images (N, H, W) the share of pixels.

    The share is relative to the pixels in a mask of either set: relative to the image, a wrong mask
    of a small object would vanish. It is one share for all masks: relative to a single mask, one
    pixel at the threshold could count as much.
    """
    if found.shape != expected.shape:
        return torch.tensor(torch.inf)
    if found.dtype != torch.bool:
        return (found - expected).abs().amax()
    return (found ^ expected).sum() / (found | expected).sum().clamp(min=FEWEST_PIXELS)

"""By how much two sets of detections differ, box by box."""

import torch
from torch import Tensor

# Pixels for boxes; float32 leaves about 1e-4 of a pixel and 1e-5 of a score.
LIMITS = {'count': 0.0, 'boxes': 0.01, 'scores': 1e-4, 'masks': 1e-3}
# Of masks of whole images, at least so many pixels are taken for all of an image's, so that one
# whose probability is the threshold's within rounding never counts as more than is allowed.
FEWEST_PIXELS = 1000


def differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Largest differences of detections, each from the nearest one of its label.

    Of boxes with equal scores either may come first, or alone where only the best K are given:
    boxes whose score is that of the last one within 1e-4 are left out where K is reached.

    Returns:
        `count`: images with another number of detections, which are not compared further;
        `boxes` in pixels, infinite where a label has none; `scores`, and `masks` if there are any.
        For masks of whole images, bool, that is the share of the pixels of all masks of an image.
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
    """Largest difference; of masks of whole images (N, H, W) the share of other pixels.

    The share is of the pixels that belong to a mask here or there: as a share of the image a small
    object's wrong mask would vanish. It is one of all masks together: as a share of each, a single
    pixel at the threshold would count as much as that.
    """
    if found.shape != expected.shape:
        return torch.tensor(torch.inf)
    if found.dtype != torch.bool:
        return (found - expected).abs().amax()
    return (found ^ expected).sum() / (found | expected).sum().clamp(min=FEWEST_PIXELS)

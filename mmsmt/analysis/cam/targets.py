"""Targets of Grad-CAM: the score of a class, of a box, or of a class's pixels."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from mmsmt.errors import ConfigError
from mmsmt.hosts.model import kind_of, logits_of

MOST = 3  # default number of targets per image


class Target(NamedTuple):
    """A prediction, and the score to explain.

    Args:
        label: Class and score, for display.
        score: From the normalised image (1, 3, H, W) to the score, (1,), with a gradient.
        region: Predicted region, (H, W) bool; None for the whole image.
        box: For detectors: x1, y1, x2, y2 in pixels of the network's image.
        method: Method that suits the score, see `layer_cam`.
    """

    label: str
    score: Callable[[Tensor], Tensor]
    region: Tensor | None = None
    box: tuple[float, ...] | None = None
    method: str = 'gradcam'


class Seen(NamedTuple):
    """An image as input of a host's model.

    Args:
        image: Normalised image, (1, 3, H, W), on the model's device.
        samples: The host's data sample in a list.
    """

    image: Tensor
    samples: list[Any]


def find_targets(
    model: Any, seen: Seen, classes: Sequence[str], index: int | None = None, box: int | None = None
) -> list[Target]:
    """Predict an image, and choose what to explain.

    Args:
        model: A host's classifier, detector or segmenter, in eval mode.
        seen: The image.
        classes: Names of the classes.
        index: Class to explain; by default the predicted class of a classifier, otherwise the best
            boxes or the largest classes, at most three.
        box: Explain only this box: 1 is the one with the highest score.

    Raises:
        ConfigError: If there is no such box, or the model predicts none.
    """
    kind = kind_of(model)
    if box is not None and kind != 'detector':
        raise ConfigError(f'--box needs a detector; this is a {kind}')
    if kind == 'classifier':
        return [_class_score(model, seen, classes, index)]
    if kind == 'segmenter':
        return _pixels(model, seen, classes, index)
    return _boxes(model, seen, classes, index, box)


def _class_score(model: Any, seen: Seen, classes: Sequence[str], index: int | None) -> Target:
    """Return the logit of a classifier's class."""
    with torch.no_grad():
        (predicted,) = model(seen.image, _fresh(seen.samples), mode='predict')
    chosen = int(predicted.pred_score.argmax()) if index is None else index
    label = f'{classes[chosen]}, score {predicted.pred_score[chosen]:.2f}'
    return Target(label, lambda image: logits_of(model, image)[:, chosen])


def _pixels(model: Any, seen: Seen, classes: Sequence[str], index: int | None) -> list[Target]:
    """Return sums of a class's logits over its predicted pixels, or over all if there are none."""

    def logits(image: Tensor) -> Tensor:
        metas = [sample.metainfo for sample in _fresh(seen.samples)]
        x = model.encode_decode(image, metas)
        if x.shape[2:] != image.shape[2:]:
            x = F.interpolate(x, image.shape[2:], mode='bilinear')
        if x.shape[1] > 1:
            return x
        x = x - torch.logit(torch.tensor(model.decode_head.threshold))  # one score for two classes
        return torch.cat([-x, x], 1)

    with torch.no_grad():
        labels = logits(seen.image)[0].argmax(0)
    areas = torch.bincount(labels.flatten(), minlength=len(classes)) / labels.numel()
    if index is None:
        chosen = [i for i in areas.argsort(descending=True).tolist()[:MOST] if areas[i] > 0]
    else:
        chosen = [index]
    return [_area(logits, labels == i, i, classes[i], areas[i].item()) for i in chosen]


def _area(
    logits: Callable[[Tensor], Tensor], region: Tensor, index: int, name: str, share: float
) -> Target:
    counted = region if region.any() else torch.ones_like(region)
    where = f'{share:.1%} of the image' if region.any() else 'predicted nowhere, all pixels'
    return Target(
        f'{name}, {where}',
        lambda image: logits(image)[:, index, counted].sum(1),
        region if region.any() else None,
    )


def _boxes(
    model: Any, seen: Seen, classes: Sequence[str], index: int | None, number: int | None
) -> list[Target]:
    """Return the scores of a detector's best boxes."""
    with torch.no_grad():
        boxes, scores, labels = _detect(model, seen.image, seen.samples)
    order = scores.argsort(descending=True, stable=True)
    if index is not None:
        order = order[labels[order] == index]
    of = '' if index is None else f' of {classes[index]}'
    if not len(order):
        raise ConfigError(f'no box{of} was found (test_cfg sets the minimum score)')
    if number is not None and not 1 <= number <= len(order):
        raise ConfigError(f'--box {number}: the boxes{of} are 1 to {len(order)}, best first')
    numbers = range(min(MOST, len(order))) if number is None else [number - 1]
    targets = []
    for rank in numbers:
        place = order[rank]
        box, label = boxes[place], int(labels[place])
        targets.append(
            Target(
                f'box {rank + 1}: {classes[label]}, score {scores[place]:.2f}',
                _box_score(model, seen.samples, box, label),
                _inside(box, seen.image),
                tuple(box.tolist()),
                'hirescam',
            )
        )
    return targets


def _box_score(
    model: Any, samples: Sequence[Any], box: Tensor, label: int
) -> Callable[[Tensor], Tensor]:
    """Return the score of a box; a later run uses the nearest box of the same class."""

    def score(image: Tensor) -> Tensor:
        boxes, scores, labels = _detect(model, image, samples)
        distances = (boxes - box).abs().sum(1).masked_fill(labels != label, torch.inf)
        return scores[distances.argmin()][None]

    return score


def _detect(model: Any, image: Tensor, samples: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes (N, 4) in the network's image, scores (N,) with gradient, and labels (N,).

    These are the host's own predictions: NMS and the selection of boxes only pick scores, so the
    scores keep the gradient of the head that computed them.
    """
    with _attached_scores():
        predicted = model.predict(image, _fresh(samples), rescale=False)[0]
    found = predicted.get('pred_instances')
    if found is None or not {'bboxes', 'scores'} <= set(found.keys()):
        raise ConfigError(f'{type(model).__name__} predicts no boxes with scores')
    if torch.is_grad_enabled() and not found.scores.requires_grad:
        raise ConfigError(f'{type(model).__name__} predicts scores without their gradient')
    boxes: Any = found.bboxes
    return getattr(boxes, 'tensor', boxes).detach(), found.scores, found.labels


@contextmanager
def _attached_scores() -> Iterator[None]:
    """Make mmdet's dense heads keep the gradient of the scores that they select.

    They all detach in one function, which many modules import by name.
    """
    from mmdet.models.utils import select_single_mlvl

    def attached(maps: Sequence[Tensor], image: int, detach: bool = False) -> list[Tensor]:
        return select_single_mlvl(maps, image, detach=False)

    name = select_single_mlvl.__name__
    with ExitStack() as patches:
        for module in list(sys.modules.values()):
            if getattr(module, '__dict__', {}).get(name) is select_single_mlvl:
                patches.enter_context(mock.patch.object(module, name, attached))
        yield


def _fresh(samples: Sequence[Any]) -> list[Any]:
    """Return data samples without the results of an earlier run."""
    return [type(sample)(metainfo=sample.metainfo) for sample in samples]


def _inside(box: Tensor, image: Tensor) -> Tensor:
    """Return the pixels (H, W) whose centres are inside a box."""
    x = torch.arange(image.shape[3], device=box.device) + 0.5
    y = torch.arange(image.shape[2], device=box.device) + 0.5
    across = (x >= box[0]) & (x <= box[2])
    return ((y >= box[1]) & (y <= box[3]))[:, None] & across

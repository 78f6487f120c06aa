"""Display of predictions for each task: thresholds and tables."""

from typing import Any, Protocol

import torch

from mmsmt.apis.classes import Classes
from mmsmt.errors import UsageError

Rows = list[list[Any]]
MOST_ROWS = 100


class Task(Protocol):
    """Predictions of one kind; all methods take a host's data sample.

    Attributes:
        threshold: Initial threshold.
        about: Description of the threshold.
        columns: Columns of an image's table.
        measure: Quantity returned by `best`.
    """

    threshold: float
    about: str
    columns: tuple[str, ...]
    measure: str

    def pack(self, prediction: Any) -> None:
        """Remove, in place, what is not needed for drawing at any threshold."""

    def keep(self, prediction: Any, threshold: float) -> None:
        """Remove, in place, what is below the threshold."""

    def rows(self, prediction: Any) -> Rows:
        """Return the rows of an image's table."""

    def best(self, prediction: Any) -> dict[str, float]:
        """Return the classes in an image with their highest score, or share."""

    def enlarge(self, prediction: Any, factor: int) -> None:
        """Rescale a prediction, in place, to an image enlarged by `factor`."""


def find_task(prediction: Any, classes: Classes) -> Task:
    """Return the task of a model from one of its predictions.

    Raises:
        UsageError: If the page does not support it.
    """
    if 'pred_instances' in prediction and 'scores' in prediction.pred_instances:
        return Detections(classes)
    if 'pred_score' in prediction and prediction.pred_score.ndim == 1:
        return Scores(classes)
    if 'pred_sem_seg' in prediction:
        return Labels(classes)
    held = ', '.join(key for key in prediction.keys() if key.startswith('pred')) or 'nothing'
    raise UsageError(
        f'the model predicts {held}; the page shows detections (pred_instances), class scores '
        '(pred_score) and label maps (pred_sem_seg)'
    )


class Detections:
    """Boxes, with or without masks."""

    threshold = 0.3
    about = 'Detections with a lower score are hidden'
    columns: tuple[str, ...] = ('class', 'score', 'left', 'top', 'width', 'height')
    measure = 'score'

    def __init__(self, classes: Classes) -> None:
        self.names = classes.names

    def pack(self, prediction: Any) -> None:
        """Keep everything."""

    def keep(self, prediction: Any, threshold: float) -> None:
        instances = prediction.pred_instances
        prediction.pred_instances = instances[instances.scores >= threshold]

    def rows(self, prediction: Any) -> Rows:
        found = prediction.pred_instances
        rows = []
        for label, score, box in zip(found.labels, found.scores, found.bboxes, strict=True):
            numbers = torch.as_tensor(box).tolist()
            if len(numbers) == 4:  # rotated boxes keep centre, size and angle
                left, top, right, bottom = numbers
                numbers = [left, top, right - left, bottom - top]
            rows.append([self.names[label], round(float(score), 3), *map(round, numbers[:4])])
        return sorted(rows, key=lambda row: -row[1])[:MOST_ROWS]

    def best(self, prediction: Any) -> dict[str, float]:
        found = prediction.pred_instances
        best: dict[str, float] = {}
        for label, score in zip(found.labels.tolist(), found.scores.tolist(), strict=True):
            best[self.names[label]] = max(score, best.get(self.names[label], 0.0))
        return best

    def enlarge(self, prediction: Any, factor: int) -> None:
        found = prediction.pred_instances
        boxes = torch.as_tensor(found.bboxes).clone()
        boxes[:, :4] *= factor  # rotated ones end with an angle
        found.bboxes = boxes
        if 'masks' in found:
            found.masks = _repeat(found.masks, factor)


class Scores:
    """Class scores."""

    threshold = 0.0
    about = 'Classes with a lower score are hidden'
    columns: tuple[str, ...] = ('class', 'score')
    measure = 'score'

    def __init__(self, classes: Classes) -> None:
        self.names = classes.names

    def pack(self, prediction: Any) -> None:
        """Keep everything."""

    def keep(self, prediction: Any, threshold: float) -> None:
        scores = prediction.pred_score
        prediction.pred_score = scores.masked_fill(scores < threshold, -1)
        if scores.max() < threshold:
            del prediction.pred_label  # so that it is not drawn

    def rows(self, prediction: Any) -> Rows:
        scores = prediction.pred_score.tolist()
        found = [[name, round(score, 4)] for name, score in zip(self.names, scores) if score >= 0]
        return sorted(found, key=lambda row: -row[1])[:MOST_ROWS]

    def best(self, prediction: Any) -> dict[str, float]:
        return {name: score for name, score in self.rows(prediction)[:1]}  # noqa: C416

    def enlarge(self, prediction: Any, factor: int) -> None:
        """Do nothing: scores have no position."""


class Labels:
    """Label maps, with the probability of each pixel's class if the model gives it."""

    threshold = 0.0
    about = 'Pixels whose class has a lower probability are hidden'
    columns: tuple[str, ...] = ('class', 'pixels', 'share')
    measure = 'share'

    def __init__(self, classes: Classes) -> None:
        self.names = classes.names

    def pack(self, prediction: Any) -> None:
        """Keep the probability of each pixel's class instead of all logits."""
        if 'seg_logits' not in prediction:
            return
        data = prediction.seg_logits.data.float()
        del prediction.seg_logits
        if len(data) == 1:  # one logit for two classes
            sure = data[0].sigmoid()
            sure = torch.maximum(sure, 1 - sure)
        else:
            sure = data.softmax(0).amax(0)
        prediction.pred_sem_seg.set_data(dict(probability=sure.half()[None]))

    def keep(self, prediction: Any, threshold: float) -> None:
        labels = prediction.pred_sem_seg
        if 'probability' in labels:
            unsure = labels.probability < threshold
            labels.data = labels.data.masked_fill(unsure, len(self.names))

    def rows(self, prediction: Any) -> Rows:
        labels = prediction.pred_sem_seg.data.flatten()
        pixels = torch.bincount(labels, minlength=len(self.names))[: len(self.names)]
        order = pixels.argsort(descending=True, stable=True).tolist()
        return [
            [self.names[index], int(pixels[index]), f'{pixels[index] / len(labels):.1%}']
            for index in order
            if pixels[index]
        ][:MOST_ROWS]

    def best(self, prediction: Any) -> dict[str, float]:
        total = prediction.pred_sem_seg.data.numel()
        return {name: pixels / total for name, pixels, _ in self.rows(prediction)}

    def enlarge(self, prediction: Any, factor: int) -> None:
        labels = prediction.pred_sem_seg
        prediction.pred_sem_seg = type(labels)(data=_repeat(labels.data, factor))


def _repeat(maps: torch.Tensor, factor: int) -> torch.Tensor:
    """Repeat the pixels of maps (N, H, W)."""
    return maps.repeat_interleave(factor, 1).repeat_interleave(factor, 2)

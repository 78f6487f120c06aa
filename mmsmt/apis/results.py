"""Result files of predictions: COCO results, class scores, label maps."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from mmsmt.apis.classes import Classes
from mmsmt.apis.sources import Item
from mmsmt.checkpoints import write_atomically
from mmsmt.errors import UsageError
from mmsmt.text import count


class Writer(Protocol):
    """Writer of the predictions of one task.

    Attributes:
        path: Output file or folder.
    """

    path: Path

    def keep(self, prediction: Any) -> None:
        """Remove unwanted classes and low scores from a host's data sample, in place."""

    def add(self, item: Item, number: int, prediction: Any) -> None:
        """Add the prediction of an image, the `number`-th of the source."""

    def finish(self) -> str:
        """Write what is not written yet, and describe the content of the file."""


def open_writer(
    prediction: Any, folder: Path, classes: Classes, wanted: Sequence[int], score_thr: float
) -> Writer:
    """Return the writer for predictions like this one.

    Args:
        prediction: A host's data sample.
        folder: Output folder.
        classes: Classes of the model.
        wanted: Indices of the classes to keep; empty for all.
        score_thr: Minimum score of detections.

    Raises:
        UsageError: If there is none for such predictions.
    """
    if 'pred_instances' in prediction and 'scores' in prediction.pred_instances:
        return Detections(folder, classes, wanted, score_thr)
    if 'pred_score' in prediction and prediction.pred_score.ndim == 1:
        return Scores(folder, classes, wanted)
    if 'pred_sem_seg' in prediction:
        return Labels(folder, classes, wanted)
    held = ', '.join(key for key in prediction.keys() if key.startswith('pred')) or 'nothing'
    raise UsageError(
        f'the model predicts {held}; mmsmt predict writes detections (pred_instances), class '
        'scores (pred_score) and label maps (pred_sem_seg)'
    )


class Detections:
    """COCO results in `detections.json`, with `file_name` and `category_name` added."""

    def __init__(
        self, folder: Path, classes: Classes, wanted: Sequence[int], score_thr: float
    ) -> None:
        self.path, self.classes = folder / 'detections.json', classes
        self.wanted, self.score_thr = torch.tensor(wanted, dtype=torch.long), score_thr
        self.found: list[dict[str, Any]] = []
        self.images = 0

    def keep(self, prediction: Any) -> None:
        """Remove detections of low scores and other classes."""
        instances = prediction.pred_instances
        kept = instances.scores > self.score_thr
        if len(self.wanted):
            kept &= torch.isin(instances.labels, self.wanted)
        prediction.pred_instances = instances[kept]

    def add(self, item: Item, number: int, prediction: Any) -> None:
        """Collect the detections of an image."""
        self.images += 1
        instances = prediction.pred_instances
        boxes = np.asarray(instances.bboxes, np.float64)
        masks = _encode(instances.masks) if 'masks' in instances else None
        for index, (box, label, score) in enumerate(
            zip(boxes, instances.labels.tolist(), instances.scores.tolist(), strict=True)
        ):
            if len(box) == 4:  # rotated boxes keep centre, size and angle
                box = np.concatenate([box[:2], box[2:] - box[:2]])
            entry = dict(
                image_id=number,
                file_name=item.label,
                category_id=label,
                category_name=self.classes.names[label],
                bbox=box.tolist(),
                score=score,
            )
            if masks is not None:
                entry['segmentation'] = masks[index]
            self.found.append(entry)

    def finish(self) -> str:
        """Write the file."""
        write_atomically(self.path, json.dumps(self.found).encode())
        return f'{count(len(self.found), "detection")} in {count(self.images, "image")}'


class Scores:
    """A table of class scores in `scores.csv`, one row per image."""

    def __init__(self, folder: Path, classes: Classes, wanted: Sequence[int]) -> None:
        self.path, self.classes = folder / 'scores.csv', classes
        self.wanted = list(wanted or range(len(classes.names)))
        names = [classes.names[index] for index in self.wanted]
        self.rows: list[list[Any]] = [['file', 'class', 'score', *names]]

    def keep(self, prediction: Any) -> None:
        """Make the best of the wanted classes the predicted one."""
        best = int(prediction.pred_score[self.wanted].argmax())
        prediction.set_pred_label(self.wanted[best])

    def add(self, item: Item, number: int, prediction: Any) -> None:
        """Add a row."""
        scores, best = prediction.pred_score.tolist(), int(prediction.pred_label[0])
        kept = [f'{scores[index]:.6g}' for index in self.wanted]
        self.rows.append([item.label, self.classes.names[best], f'{scores[best]:.6g}', *kept])

    def finish(self) -> str:
        """Write the file."""
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode(errors='surrogateescape'))
        return f'{count(len(self.rows) - 1, "image")}, {count(len(self.wanted), "class")}'


class Labels:
    """Label maps in `labels/<name>.png`, whose pixels are class indices.

    The largest value marks pixels of unwanted classes: 255, or 65,535 (in 16-bit files) for more
    than 255 classes.
    """

    def __init__(self, folder: Path, classes: Classes, wanted: Sequence[int]) -> None:
        self.path, self.wanted = folder / 'labels', list(wanted)
        self.dtype: Any = np.uint8 if len(classes.names) <= 255 else np.uint16
        self.images = 0

    def keep(self, prediction: Any) -> None:
        """Mark the pixels of unwanted classes."""
        if self.wanted:
            labels = prediction.pred_sem_seg.data
            other = ~torch.isin(labels, torch.tensor(self.wanted))
            prediction.pred_sem_seg.data = labels.masked_fill(other, np.iinfo(self.dtype).max)

    def add(self, item: Item, number: int, prediction: Any) -> None:
        """Write the label map of an image."""
        labels = prediction.pred_sem_seg.data[0].numpy().astype(self.dtype)
        write_image(self.path / f'{item.name}.png', labels)
        self.images += 1

    def finish(self) -> str:
        """Return the number of label maps; all are written already."""
        return count(self.images, 'label map')


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write an image, BGR or grey, in the format of its suffix, all or nothing."""
    import cv2

    done, data = cv2.imencode(path.suffix, pixels)
    if not done:
        raise UsageError(f'{path}: OpenCV cannot write an image of {pixels.shape} pixels')
    write_atomically(path, data.tobytes())


def _encode(masks: Any) -> list[dict[str, Any]]:
    """Return the run-length encodings of masks (N, H, W)."""
    from pycocotools import mask as coco

    stacked = np.asfortranarray(np.asarray(masks).astype(np.uint8).transpose(1, 2, 0))
    return [dict(size=rle['size'], counts=rle['counts'].decode()) for rle in coco.encode(stacked)]

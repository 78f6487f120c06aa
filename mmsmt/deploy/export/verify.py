"""Comparison of an exported network in its runtime with the host in PyTorch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from mmsmt.deploy.export.tasks import Task
from mmsmt.deploy.session import Session
from mmsmt.errors import UsageError
from mmsmt.hosts.model import LoadedModel
from mmsmt.mixers import SelfGuidedAttention

BATCH = 8  # images per batch
# Rounding decides the order of nearly equal significances, by which SG-Former groups its tokens:
# within PyTorch, its float32 and float64 results differ ten times as much as SMT's.
SORTING = 10.0


class Check(NamedTuple):
    """A comparison of results.

    Args:
        images, height, width: Number and size of the images.
        differences: Name of a result to its largest difference, as measured by the task.
        detections: Number of expected boxes, or None without boxes.
    """

    images: int
    height: int
    width: int
    differences: dict[str, float]
    detections: int | None = None


def check(
    session: Session,
    loaded: LoadedModel,
    task: Task,
    images: Sequence[Image.Image],
    size: tuple[int, int] | None = None,
) -> list[Check]:
    """Compare an exported file with the original network, preprocessed by its host.

    Args:
        session: The exported file.
        loaded: The original network.
        task: The exported task.
        images: RGB images; resized to one size.
        size: The fixed height and width of the file. If None, all images are compared at the first
            one's size, and one at a size that no stride divides.

    Returns:
        The comparisons.

    Raises:
        UsageError: If a result differs by more than its task allows, or the runtime cannot run the
            network.
    """
    width, height = images[0].size
    tried: list[tuple[int, int, int]]
    tried = [(len(images), height, width), (1, height * 3 // 4 + 1, width * 5 // 4 + 1)]
    if size is not None:
        tried = [(len(images), *size), (1, *size)]
    return [_compare(session, loaded, task, images[: shape[0]], shape) for shape in tried]


def _compare(
    session: Session,
    loaded: LoadedModel,
    task: Task,
    images: Sequence[Image.Image],
    shape: tuple[int, int, int],
) -> Check:
    differences: dict[str, float] = {}
    detections = None
    for start in range(0, len(images), BATCH):
        resized = [image.resize((shape[2], shape[1])) for image in images[start : start + BATCH]]
        pixels = np.stack([np.asarray(image) for image in resized])
        found = {name: torch.from_numpy(value) for name, value in session(pixels).items()}
        with torch.inference_mode():
            expected = task.expect(loaded, resized)
        for name, difference in task.differences(found, expected).items():
            differences[name] = float(
                np.maximum(differences.get(name, 0.0), difference)
            )  # keeps NaN
        if 'count' in expected:
            detections = (detections or 0) + int(expected['count'].sum())
    sorts = any(isinstance(part, SelfGuidedAttention) for part in loaded.model.modules())
    for name, difference in differences.items():
        limit = task.limit(name) * (SORTING if sorts else 1.0)
        if not difference <= limit:
            raise UsageError(
                f'nothing is written: for {shape[0]} images of {shape[1]} x {shape[2]}, {name} in '
                f'{session.runtime} differs by {difference:.1e} from PyTorch, '
                f'the limit is {limit:.0e}'
            )
    return Check(*shape, differences, detections)

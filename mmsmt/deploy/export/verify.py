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

BATCH = 8  # images at once
# Rounding decides the order of nearly equal significance, by which SG-Former groups its tokens: in
# PyTorch alone its results in float32 and float64 are ten times as far apart as SMT's.
SORTING = 10.0


class Check(NamedTuple):
    """One comparison.

    Args:
        images, height, width: How many there were, and their size.
        differences: Name of a result to the largest difference, as its task measures them.
        detections: Number of the boxes that were expected, None of what has no boxes.
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
    """Compare what was exported with the untouched network, preprocessed by its host.

    Args:
        session: What was exported.
        loaded: The network.
        task: What of it was exported.
        images: RGB; resized to one size.
        size: The only height and width that it takes. Without, it is tried with all images
            at the first one's size, and with one at a size that no stride divides.

    Returns:
        What was compared.

    Raises:
        UsageError: If a result differs by more than its task allows, or if the runtime cannot
            run the network.
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
            differences[name] = float(np.maximum(differences.get(name, 0.0), difference))  # or NaN
        if 'count' in expected:
            detections = (detections or 0) + int(expected['count'].sum())
    sorts = any(isinstance(part, SelfGuidedAttention) for part in loaded.model.modules())
    for name, difference in differences.items():
        limit = task.limit(name) * (SORTING if sorts else 1.0)
        if not difference <= limit:
            raise UsageError(
                f'nothing is written: for {shape[0]} images of {shape[1]} x {shape[2]} {name} in '
                f'{session.runtime} differs by {difference:.1e} from PyTorch, '
                f'allowed is {limit:.0e}'
            )
    return Check(*shape, differences, detections)

"""Comparison of an exported network in its runtime with the host in PyTorch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from mmsmt.deploy.export.tasks import Task
from mmsmt.deploy.session import Session
from mmsmt.errors import UsageError
from mmsmt.hosts.model import LoadedModel
from mmsmt.mixers import SelfGuidedAttention

BATCH = 8  # images per batch


class Check(NamedTuple):
    """A comparison of results.

    Args:
        images, height, width: Number and size of the images.
        differences: Name of a result to its largest difference, as measured by the task; among the
            images that agree.
        detections: Number of expected boxes, or None without boxes.
        agreeing: Number of images that agree, or None if all have to.
    """

    images: int
    height: int
    width: int
    differences: dict[str, float]
    detections: int | None = None
    agreeing: int | None = None


def ranks(model: nn.Module, task: Task) -> bool:
    """Return whether a network treats pixels by their rank in an order of scores.

    SG-Former merges them by significance; the first, second, ... query of DINO starts at the pixel
    of that rank. Two nearly equal scores can change places by rounding, and the result with them:
    within PyTorch, a folded DINO moves boxes by 0.4 pixel in one image and 1e-5 in the next.
    """
    return task.ranks or any(isinstance(part, SelfGuidedAttention) for part in model.modules())


def check(
    session: Session,
    loaded: LoadedModel,
    task: Task,
    images: Sequence[Image.Image],
    size: tuple[int, int] | None = None,
) -> list[Check]:
    """Compare an exported file with the original network, preprocessed by its host.

    All images must agree; half of them if the network ranks pixels (see `ranks`). A wrong export
    agrees in none.

    Args:
        session: The exported file.
        loaded: The original network.
        task: The exported task.
        images: RGB images; resized to one size.
        size: The fixed height and width of the file. If None, all images are compared at the first
            one's size, and one or a few at a size that no stride divides.

    Returns:
        The comparisons.

    Raises:
        UsageError: If a result differs by more than its task allows, or the runtime cannot run the
            network.
    """
    width, height = images[0].size
    tried: list[tuple[int, int, int]]
    few = min(len(images), BATCH) if ranks(loaded.model, task) else 1
    tried = [(len(images), height, width), (few, height * 3 // 4 + 1, width * 5 // 4 + 1)]
    if size is not None:
        tried = [(len(images), *size), (few, *size)]
    return [_compare(session, loaded, task, images[: shape[0]], shape) for shape in tried]


def _compare(
    session: Session,
    loaded: LoadedModel,
    task: Task,
    images: Sequence[Image.Image],
    shape: tuple[int, int, int],
) -> Check:
    ranked = ranks(loaded.model, task)
    results: list[dict[str, float]] = []
    detections = None
    step = 1 if ranked else BATCH
    for start in range(0, len(images), step):
        resized = [image.resize((shape[2], shape[1])) for image in images[start : start + step]]
        pixels = np.stack([np.asarray(image) for image in resized])
        found = {name: torch.from_numpy(value) for name, value in session(pixels).items()}
        with torch.inference_mode():
            expected = task.expect(loaded, resized)
        results.append(task.differences(found, expected))
        if 'count' in expected:
            detections = (detections or 0) + int(expected['count'].sum())
    agreeing = [each for each in results if not _beyond(each, task)]
    if len(agreeing) < len(results) / (2 if ranked else 1):
        name = next(iter(_beyond(_largest(results), task)))
        where = f'more than half of {shape[0]} images' if ranked else f'{shape[0]} images'
        raise UsageError(
            f'nothing is written: for {where} of {shape[1]} x {shape[2]}, {name} in '
            f'{session.runtime} differs by {_largest(results)[name]:.1e} from PyTorch, '
            f'the limit is {task.limit(name):.0e}'
        )
    return Check(*shape, _largest(agreeing), detections, len(agreeing) if ranked else None)


def _largest(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the largest differences by name; NaN if there is one."""
    return {name: float(np.max([each[name] for each in results])) for name in results[0]}


def _beyond(differences: dict[str, float], task: Task) -> dict[str, float]:
    """Return the differences that are larger than allowed, or NaN."""
    return {n: value for n, value in differences.items() if not value <= task.limit(n)}

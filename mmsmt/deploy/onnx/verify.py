"""Comparison of an ONNX file in ONNX Runtime with the host in PyTorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from mmsmt.deploy.onnx.graph import Task
from mmsmt.errors import UsageError
from mmsmt.hosts.model import LoadedModel

BATCH = 8  # images at once


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
    content: bytes,
    loaded: LoadedModel,
    task: Task,
    images: Sequence[Image.Image],
    size: tuple[int, int] | None = None,
) -> list[Check]:
    """Compare a file with the untouched network, preprocessed by its host.

    Args:
        content: Of the file.
        loaded: The network.
        task: What of it the file computes.
        images: RGB; resized to one size.
        size: The only height and width that the file takes. Without, it is tried with all images
            at the first one's size, and with one at a size that no stride divides.

    Returns:
        What was compared.

    Raises:
        UsageError: If a result differs by more than its task allows, or if ONNX Runtime cannot
            run the file.
    """
    width, height = images[0].size
    tried: list[tuple[int, int, int]]
    tried = [(len(images), height, width), (1, height * 3 // 4 + 1, width * 5 // 4 + 1)]
    if size is not None:
        tried = [(len(images), *size), (1, *size)]
    session = open_session(content, torch.get_num_threads())
    return [_compare(session, loaded, task, images[: shape[0]], shape) for shape in tried]


def open_session(content: bytes | Path, threads: int) -> Any:
    """A session of ONNX Runtime on the CPU.

    Args:
        content: Of a file, or where it lies.
        threads: How many it uses.

    Raises:
        UsageError: If ONNX Runtime is not installed or cannot run the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError('needs pip install -r requirements/export.txt') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what it has to say comes as exceptions too
    return _run(
        lambda: onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    )


def _run(call: Any) -> Any:
    try:
        return call()
    except Exception as error:  # its errors have no base but this one
        raise UsageError(f'ONNX Runtime cannot run what torch exported: {error}') from error


def _compare(
    session: Any,
    loaded: LoadedModel,
    task: Task,
    images: Sequence[Image.Image],
    shape: tuple[int, int, int],
) -> Check:
    names = [each.name for each in session.get_outputs()]
    differences: dict[str, float] = {}
    detections = None
    for start in range(0, len(images), BATCH):
        resized = [image.resize((shape[2], shape[1])) for image in images[start : start + BATCH]]
        pixels = np.stack([np.asarray(image) for image in resized])
        given = _run(lambda pixels=pixels: session.run(None, {'images': pixels}))
        found = dict(zip(names, map(torch.from_numpy, given), strict=True))
        with torch.inference_mode():
            expected = task.expect(loaded, resized)
        for name, difference in task.differences(found, expected).items():
            differences[name] = float(np.maximum(differences.get(name, 0.0), difference))  # or NaN
        if 'count' in expected:
            detections = (detections or 0) + int(expected['count'].sum())
    for name, difference in differences.items():
        if not difference <= task.limit(name):
            raise UsageError(
                f'nothing is written: for {shape[0]} images of {shape[1]} x {shape[2]} {name} in '
                f'ONNX Runtime differs by {difference:.1e} from PyTorch, '
                f'allowed is {task.limit(name):.0e}'
            )
    return Check(*shape, differences, detections)

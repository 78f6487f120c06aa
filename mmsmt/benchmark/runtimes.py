"""Runtimes as ways of the benchmark."""

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmsmt.benchmark.contenders import Contender, build
from mmsmt.deploy import deploy
from mmsmt.deploy.export.difference import relative_difference
from mmsmt.deploy.onnx.session import OnnxRuntimeSession
from mmsmt.deploy.onnx.writer import write_onnx
from mmsmt.deploy.openvino.quantization import quantize
from mmsmt.deploy.openvino.session import OpenVinoSession, read_model
from mmsmt.deploy.session import FORMATS, Session

CALIBRATION = 8  # batches


class Runtime(NamedTuple):
    """A runtime as a way.

    Args:
        title: For a legend.
        extra: Of this package, what installs it.
        packages: What it needs.
        limit: Largest difference of a map from PyTorch's that is taken for right, relative to the
            root mean square. Weights are random: what 8 bits do to accuracy is seen elsewhere.
        marker: Of matplotlib.
    """

    title: str
    extra: str
    packages: tuple[str, ...]
    limit: float
    marker: str


ONNX, OPENVINO = FORMATS['onnx'], FORMATS['openvino']
BFLOAT16, INT8 = 'openvino-bf16', 'openvino-int8'
RUNTIMES = {
    'onnxruntime': Runtime(ONNX.runtime, ONNX.extra, (*ONNX.writes, 'onnxruntime'), 1e-3, 's'),
    'openvino': Runtime(OPENVINO.runtime, OPENVINO.extra, OPENVINO.writes, 1e-3, 'D'),
    BFLOAT16: Runtime('OpenVINO, bfloat16', OPENVINO.extra, OPENVINO.writes, 0.3, 'd'),
    INT8: Runtime('OpenVINO, int8', OPENVINO.extra, (*OPENVINO.writes, 'nncf'), inf, 'X'),
}


class Written(NamedTuple):
    """A contender as ONNX (ours: its deploy form), images of a shape, and PyTorch's maps."""

    contender: Contender
    shape: tuple[int, int, int]
    content: bytes
    images: Tensor
    maps: tuple[Tensor, ...]


_last: list[Written] = []  # the ways of a contender come one after the other


def write_contender(contender: Contender, shape: tuple[int, int, int]) -> Written:
    """Export a contender for a shape, unless it was the last one.

    Raises:
        UsageError: If the network cannot be built or exported.
    """
    if _last and _last[0][:2] == (contender, shape):
        return _last[0]
    model: Any = build(contender)
    model = deploy(model) if contender.deployable else model
    images = torch.rand(shape[0], 3, *shape[1:])
    with torch.no_grad():
        maps = model(images)
    content = write_onnx(model, images).model_proto.SerializeToString()
    _last[:] = [Written(contender, shape, content, images, maps)]
    return _last[0]


def runtime_call(
    contender: Contender, shape: tuple[int, int, int], way: str, threads: int
) -> Callable[[], Any]:
    """Export a network for one shape, and compare the maps with PyTorch's.

    Args:
        contender: The network.
        shape: Batch, height and width of the images.
        way: Of `RUNTIMES`.
        threads: Of the runtime.

    Returns:
        What runs it once.

    Raises:
        UsageError: If the network cannot be built or exported.
        RuntimeError: If it gives other maps.
    """
    *_, content, images, maps = write_contender(contender, shape)
    session: Session
    if way == 'onnxruntime':
        session = OnnxRuntimeSession(content, threads)
    else:
        model = read_model(content)
        if way == INT8:
            model = quantize(model, (torch.rand(images.shape).numpy() for _ in range(CALIBRATION)))
        session = OpenVinoSession(model, threads, 'bfloat16' if way == BFLOAT16 else 'float32')
    given = images.numpy()
    for found, map_ in zip(session(given).values(), maps, strict=True):
        difference = relative_difference(torch.from_numpy(found), map_)
        if not difference <= RUNTIMES[way].limit:
            raise RuntimeError(f'maps in {session.runtime} differ by {difference:.1e} from PyTorch')
    return lambda: session(given)

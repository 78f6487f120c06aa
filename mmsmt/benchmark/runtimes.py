"""Runtimes in the benchmark."""

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
    """A runtime as a way of running a network.

    Args:
        title: Name in a legend.
        extra: Extra of this package that installs it.
        packages: Required packages.
        limit: Largest accepted difference of a map from PyTorch's, relative to the RMS. Weights are
            random, so this does not show how 8 bits affect accuracy.
        marker: Matplotlib marker.
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
    """A network as ONNX (ours in deploy form), images of a shape, and PyTorch's maps."""

    contender: Contender
    shape: tuple[int, int, int]
    content: bytes
    images: Tensor
    maps: tuple[Tensor, ...]


_last: list[Written] = []  # all ways of a network are run one after the other


def write_contender(contender: Contender, shape: tuple[int, int, int]) -> Written:
    """Export a network for a shape, unless it was the last one exported.

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
    """Export a network for one shape, and compare its maps with PyTorch's.

    Args:
        contender: The network.
        shape: Batch, height and width of the images.
        way: One of `RUNTIMES`.
        threads: Number of threads of the runtime.

    Returns:
        Function that runs it once.

    Raises:
        UsageError: If the network cannot be built or exported.
        RuntimeError: If its maps differ.
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

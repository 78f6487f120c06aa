"""Runtimes as ways of the benchmark."""

from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmsmt.deploy.export.difference import relative_difference
from mmsmt.deploy.onnx.session import OnnxRuntimeSession
from mmsmt.deploy.onnx.writer import write_onnx
from mmsmt.deploy.openvino.quantization import quantize
from mmsmt.deploy.openvino.session import OpenVinoSession, read_model
from mmsmt.deploy.session import Session

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


WRITES = ('onnx', 'onnxscript')
BFLOAT16, INT8 = 'openvino-bf16', 'openvino-int8'
RUNTIMES = {
    'onnxruntime': Runtime('ONNX Runtime', 'onnx', (*WRITES, 'onnxruntime'), 1e-3, 's'),
    'openvino': Runtime('OpenVINO', 'openvino', (*WRITES, 'openvino'), 1e-3, 'D'),
    BFLOAT16: Runtime('OpenVINO, bfloat16', 'openvino', (*WRITES, 'openvino'), 0.3, 'd'),
    INT8: Runtime('OpenVINO, int8', 'openvino', (*WRITES, 'openvino', 'nncf'), inf, 'X'),
}


def runtime_call(model: nn.Module, images: Tensor, way: str, threads: int) -> Callable[[], Any]:
    """Export a network for one shape, and compare the maps with PyTorch's.

    Args:
        model: In evaluation mode.
        images: Of that shape.
        way: Of `RUNTIMES`.
        threads: Of the runtime.

    Returns:
        What runs it once.

    Raises:
        UsageError: If the network cannot be exported.
        RuntimeError: If it gives other maps.
    """
    content = write_onnx(model, images).model_proto.SerializeToString()
    session: Session
    if way == 'onnxruntime':
        session = OnnxRuntimeSession(content, threads)
    else:
        exported = read_model(content)
        if way == INT8:
            some = [torch.rand(images.shape).numpy() for _ in range(CALIBRATION)]
            exported = quantize(exported, some)
        precision = 'bfloat16' if way == BFLOAT16 else 'float32'
        session = OpenVinoSession(exported, threads, precision)
    with torch.no_grad():
        expected = model(images)
    given = images.numpy()
    for found, map_ in zip(session(given).values(), expected, strict=True):
        difference = relative_difference(torch.from_numpy(found), map_)
        if not difference <= RUNTIMES[way].limit:
            raise RuntimeError(f'maps in {session.runtime} differ by {difference:.1e} from PyTorch')
    return lambda: session(given)

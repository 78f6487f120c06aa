"""Session in OpenVINO."""

from pathlib import Path
from typing import Any

import numpy as np

from mmsmt.deploy.session import DESCRIPTION, run_native
from mmsmt.errors import UsageError

PRECISIONS = {'float32': 'f32', 'bfloat16': 'bf16'}


def require_openvino() -> Any:
    """Import OpenVINO.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise UsageError("OpenVINO is not installed: pip install 'mmsmt[openvino]'") from error
    return openvino


def read_model(content: bytes | Path) -> Any:
    """Read an OpenVINO model from the content of an ONNX file, or from an .xml file.

    Raises:
        UsageError: If OpenVINO is not installed or cannot read it.
    """
    core = require_openvino().Core()
    what = f'{content}: ' if isinstance(content, Path) else ''
    return run_native(lambda: core.read_model(content), f'{what}OpenVINO cannot read the network')


def computes_in_bfloat16() -> bool:
    """Return whether OpenVINO computes in bfloat16 on this CPU."""
    core = require_openvino().Core()
    return 'BF16' in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


class OpenVinoSession:
    """Session in OpenVINO, see `Session`.

    Args:
        model: OpenVINO model with one input.
        threads: Number of threads; 0 for all cores.
        precision: Precision of the computation where possible, one of `PRECISIONS`.

    Raises:
        UsageError: If OpenVINO is not installed, cannot compile the model, or the CPU does not
            support the precision.
    """

    runtime = 'OpenVINO'

    def __init__(self, model: Any, threads: int = 0, precision: str = 'float32') -> None:
        core = require_openvino().Core()
        if precision == 'bfloat16' and not computes_in_bfloat16():
            raise UsageError('this CPU does not support bfloat16: use float32')
        options = {
            'INFERENCE_PRECISION_HINT': PRECISIONS[precision],
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': threads,
        }
        self._compiled = run_native(
            lambda: core.compile_model(model, 'CPU', options), 'OpenVINO cannot load the network'
        )
        # A compiled output may also have the names of operators that were fused into it.
        self.outputs = [output.any_name for output in model.outputs]
        places = [[DESCRIPTION], ['framework', DESCRIPTION]]  # in .xml files, and in .onnx files
        self.description = next(
            (model.get_rt_info(place).astype(str) for place in places if model.has_rt_info(place)),
            '',
        )

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        values = run_native(
            lambda: self._compiled([images]).to_tuple(), 'OpenVINO cannot run the network'
        )
        return dict(zip(self.outputs, values, strict=True))

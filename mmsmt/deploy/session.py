"""An exported network in its runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from mmsmt.errors import UsageError

Result = TypeVar('Result')
DESCRIPTION = 'mmsmt'  # in files, the name of what `write_description` gives


class Session(Protocol):
    """A network that a runtime has loaded.

    Attributes:
        runtime: Name of the runtime.
        outputs: Names of the results.
        description: What the file carries for `read_description`, empty if nothing.
    """

    runtime: str
    outputs: list[str]
    description: str

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Results by name, of a batch of images as the network wants them."""


class Format(NamedTuple):
    """A kind of exported file.

    Args:
        suffix: Of its name.
        runtime: Name of what runs it.
        extra: Of this package, what installs that.
        writes: Packages that write it.
    """

    suffix: str
    runtime: str
    extra: str
    writes: tuple[str, ...]


FORMATS = {
    'onnx': Format('.onnx', 'ONNX Runtime', 'onnx', ('onnx', 'onnxscript')),
    'openvino': Format('.xml', 'OpenVINO', 'openvino', ('onnx', 'onnxscript', 'openvino')),
}

# Format to the name of what runs it by default.
RUNTIMES = {'onnx': 'onnxruntime', 'openvino': 'openvino'}


def format_of(path: str | Path) -> str | None:
    """Name of the format that a suffix stands for; None if no exported file has it."""
    suffix = Path(path).suffix.lower()
    return next((name for name, kind in FORMATS.items() if kind.suffix == suffix), None)


def open_session(
    path: str | Path, threads: int = 0, precision: str = 'float32', runtime: str | None = None
) -> Session:
    """Load an exported file into a runtime, on the CPU.

    Args:
        path: `.onnx` for ONNX Runtime; `.xml`, with the `.bin` beside it, for OpenVINO.
        threads: How many it uses; 0 for as many as there are cores.
        precision: `float32`, or in OpenVINO `bfloat16`, in which it then computes where it can.
        runtime: Of `RUNTIMES`; OpenVINO runs `.onnx` files too.

    Raises:
        UsageError: If there is no such file, its runtime is not installed or cannot run it.
    """
    path = Path(path)
    kind = format_of(path)
    if kind is None:
        raise UsageError(f'{path}: the name of an exported file ends in .onnx or .xml')
    if not path.is_file():
        raise UsageError(f'{path}: no such file')
    runtime = runtime or RUNTIMES[kind]
    if kind == 'openvino' and runtime != 'openvino':
        raise UsageError(f'{path}: only OpenVINO runs .xml files')
    if precision != 'float32' and runtime != 'openvino':
        raise UsageError(f'--precision {precision} is of OpenVINO: add --runtime openvino')
    if runtime == 'openvino':
        from mmsmt.deploy.openvino.session import OpenVinoSession, read_model

        return OpenVinoSession(read_model(path), threads, precision)
    from mmsmt.deploy.onnx.session import OnnxRuntimeSession

    return OnnxRuntimeSession(path, threads)


def run_native(call: Callable[[], Result], what: str) -> Result:
    """Call a runtime, whose errors have no base of their own.

    Raises:
        UsageError: In place of any of them.
    """
    try:
        return call()
    except Exception as error:
        reason: Any = next((line for line in str(error).splitlines() if line.strip()), error)
        raise UsageError(f'{what}: {reason}') from error

"""Sessions: exported networks loaded into a runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from mmsmt.errors import UsageError

Result = TypeVar('Result')
DESCRIPTION = 'mmsmt'  # key of the description in files, see `write_description`


class Session(Protocol):
    """A network that a runtime has loaded.

    Attributes:
        runtime: Name of the runtime.
        outputs: Names of the results.
        description: Description in the file for `read_description`, may be empty.
    """

    runtime: str
    outputs: list[str]
    description: str

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Run a batch of images, as the network expects them, and return the results by name."""


class Format(NamedTuple):
    """A kind of exported file.

    Args:
        suffix: Suffix of the file name.
        runtime: Name of its runtime.
        extra: Extra of this package that installs the runtime.
        writes: Packages needed to write it.
    """

    suffix: str
    runtime: str
    extra: str
    writes: tuple[str, ...]


FORMATS = {
    'onnx': Format('.onnx', 'ONNX Runtime', 'onnx', ('onnx', 'onnxscript')),
    'openvino': Format('.xml', 'OpenVINO', 'openvino', ('onnx', 'onnxscript', 'openvino')),
}

# Format to its default runtime.
RUNTIMES = {'onnx': 'onnxruntime', 'openvino': 'openvino'}


def format_of(path: str | Path) -> str | None:
    """Return the format for the suffix of a path; None if it is not an exported file."""
    suffix = Path(path).suffix.lower()
    return next((name for name, kind in FORMATS.items() if kind.suffix == suffix), None)


def open_session(
    path: str | Path, threads: int = 0, precision: str = 'float32', runtime: str | None = None
) -> Session:
    """Load an exported file into a runtime, on the CPU.

    Args:
        path: `.onnx` for ONNX Runtime; `.xml`, with the `.bin` next to it, for OpenVINO.
        threads: Number of threads; 0 for all cores.
        precision: `float32`, or in OpenVINO `bfloat16`, which is then used where possible.
        runtime: One of `RUNTIMES`; OpenVINO also runs `.onnx` files.

    Raises:
        UsageError: If there is no such file, its runtime is not installed or cannot run it.
    """
    path = Path(path)
    kind = format_of(path)
    if kind is None:
        raise UsageError(f'{path}: the name of an exported file must end in .onnx or .xml')
    if not path.is_file():
        raise UsageError(f'{path}: no such file')
    runtime = runtime or RUNTIMES[kind]
    if kind == 'openvino' and runtime != 'openvino':
        raise UsageError(f'{path}: .xml files need OpenVINO')
    if precision != 'float32' and runtime != 'openvino':
        raise UsageError(f'--precision {precision} needs OpenVINO: add --runtime openvino')
    if runtime == 'openvino':
        from mmsmt.deploy.openvino.session import OpenVinoSession, read_model

        return OpenVinoSession(read_model(path), threads, precision)
    from mmsmt.deploy.onnx.session import OnnxRuntimeSession

    return OnnxRuntimeSession(path, threads)


def run_native(call: Callable[[], Result], what: str) -> Result:
    """Call a runtime, and convert its errors, which have no common base class.

    Raises:
        UsageError: Instead of any of them.
    """
    try:
        return call()
    except Exception as error:
        reason: Any = next((line for line in str(error).splitlines() if line.strip()), error)
        raise UsageError(f'{what}: {reason}') from error

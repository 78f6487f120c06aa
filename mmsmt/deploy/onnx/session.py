"""Session in ONNX Runtime."""

from pathlib import Path

import numpy as np

from mmsmt.deploy.session import DESCRIPTION, run_native
from mmsmt.errors import UsageError


class OnnxRuntimeSession:
    """Session in ONNX Runtime, see `Session`.

    Args:
        content: Content of a file, or its path.
        threads: Number of threads; 0 for all cores.

    Raises:
        UsageError: If ONNX Runtime is not installed or cannot run the file.
    """

    runtime = 'ONNX Runtime'

    def __init__(self, content: bytes | Path, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError("ONNX Runtime is not installed: pip install 'mmsmt[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # everything is also raised as an exception
        self._what = f'{content}: ONNX Runtime' if isinstance(content, Path) else 'ONNX Runtime'
        self._session = run_native(
            lambda: onnxruntime.InferenceSession(
                content, options, providers=['CPUExecutionProvider']
            ),
            f'{self._what} cannot load the network',
        )
        self._input = self._session.get_inputs()[0].name
        self.outputs = [output.name for output in self._session.get_outputs()]
        self.description = self._session.get_modelmeta().custom_metadata_map.get(DESCRIPTION, '')

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        values = run_native(
            lambda: self._session.run(None, {self._input: images}),
            f'{self._what} cannot run the network',
        )
        return dict(zip(self.outputs, values, strict=True))

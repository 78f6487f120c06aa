"""Writer of OpenVINO files."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmsmt.checkpoints import write_atomically
from mmsmt.deploy.openvino.session import require_openvino


def write_openvino(model: Any, path: Path) -> None:
    """Write an OpenVINO model to `path`, .xml, and its float32 weights to a .bin next to it."""
    with TemporaryDirectory() as folder:
        made = Path(folder, path.name)
        require_openvino().save_model(model, made, compress_to_fp16=False)
        for file in (
            made.with_suffix('.bin'),
            made,
        ):  # the .xml last, because it makes the model complete
            write_atomically(path.with_suffix(file.suffix), file.read_bytes())

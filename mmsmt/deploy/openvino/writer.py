"""Files for OpenVINO."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmsmt.checkpoints import write_atomically
from mmsmt.deploy.openvino.session import require_openvino


def write_openvino(model: Any, path: Path) -> None:
    """Write OpenVINO's model as `path`, .xml, and its weights, float32, as .bin beside it."""
    with TemporaryDirectory() as folder:
        made = Path(folder, path.name)
        require_openvino().save_model(model, made, compress_to_fp16=False)
        for file in (made.with_suffix('.bin'), made):  # the one that names a network last
            write_atomically(path.with_suffix(file.suffix), file.read_bytes())

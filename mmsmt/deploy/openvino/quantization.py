"""Quantization to 8-bit integers, calibrated on images."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mmsmt.deploy.openvino.session import read_model
from mmsmt.deploy.openvino.writer import write_openvino
from mmsmt.deploy.session import format_of, run_native
from mmsmt.errors import UsageError
from mmsmt.hosts.images import read_samples

# Left in floating point: in 8 bits filters of one channel are slower, and attention less accurate.
KEPT = ('GroupConvolution',)


def quantize(model: Any, images: Iterable[np.ndarray], kept: Iterable[str] = KEPT) -> Any:
    """OpenVINO's model with linear layers and convolutions in 8-bit integers.

    Args:
        model: OpenVINO's, in float32.
        images: What it is given, some batches of what it will meet.
        kept: OpenVINO's types of operators that are left alone.

    Returns:
        A new model.

    Raises:
        UsageError: If nncf is not installed or cannot take the model.
    """
    try:
        import nncf
    except ImportError as error:
        raise UsageError("quantization needs nncf: pip install 'mmsmt[openvino]'") from error
    batches = list(images)
    scope = nncf.IgnoredScope(types=list(kept), validate=False)
    return run_native(
        lambda: nncf.quantize(
            model,
            nncf.Dataset(batches),
            subset_size=len(batches),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=scope,
        ),
        'nncf cannot quantise the network',
    )


def quantize_file(path: Path, out: Path, images: str | Path, limit: int = 300) -> int:
    """Quantise an exported file.

    Args:
        path: `.xml` in float32, from `mmsmt export`.
        out: `.xml` to write.
        images: Folder of images like those that it will meet, of training best. They are taken at
            their own size, or resized where the file has a fixed one.
        limit: Calibrate on as many of them at most, drawn at random.

    Returns:
        How many images it was calibrated on.

    Raises:
        UsageError: If a name is wrong, there is no such file or folder, nncf is not installed, or
            it cannot take the network.
    """
    for name in (path, out):
        if format_of(name) != 'openvino':
            raise UsageError(f'{name}: OpenVINO quantises .xml files: mmsmt export --to openvino')
    if not path.is_file():
        raise UsageError(f'{path}: no such file')
    model = read_model(path)
    shape = model.inputs[0].partial_shape
    if len(shape) != 4 or shape[3].is_dynamic or shape[3].get_length() != 3:
        raise UsageError(f'{path}: takes no images (batch x height x width x 3), but {shape}')
    samples = read_samples(images, limit).images
    if shape[1].is_static and shape[2].is_static:
        samples = [s.resize((shape[2].get_length(), shape[1].get_length())) for s in samples]
    write_openvino(quantize(model, (np.asarray(sample)[None] for sample in samples)), out)
    return len(samples)

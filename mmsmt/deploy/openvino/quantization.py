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

# Kept in floating point: in 8 bits, depth-wise filters are slower and attention less accurate.
KEPT = ('GroupConvolution',)


def quantize(model: Any, images: Iterable[np.ndarray], kept: Iterable[str] = KEPT) -> Any:
    """Quantize linear layers and convolutions of an OpenVINO model to 8-bit integers.

    Args:
        model: OpenVINO model in float32.
        images: Batches of representative images.
        kept: OpenVINO operator types that are not quantized.

    Returns:
        A new model.

    Raises:
        UsageError: If nncf is not installed or cannot quantize the model.
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
        'nncf cannot quantize the network',
    )


def quantize_file(path: Path, out: Path, images: str | Path, limit: int = 300) -> int:
    """Quantize an exported file.

    Args:
        path: `.xml` in float32, from `mmsmt export`.
        out: `.xml` to write.
        images: Folder of representative images, ideally of training. They keep their size, unless
            the file has a fixed one.
        limit: Maximum number of images for calibration, drawn at random.

    Returns:
        Number of images used for calibration.

    Raises:
        UsageError: If a name is wrong, a file or folder is missing, nncf is not installed, or it
            cannot quantize the network.
    """
    for name in (path, out):
        if format_of(name) != 'openvino':
            raise UsageError(
                f'{name}: only .xml files can be quantized: mmsmt export --to openvino'
            )
    if not path.is_file():
        raise UsageError(f'{path}: no such file')
    model = read_model(path)
    shape = model.inputs[0].partial_shape
    if len(shape) != 4 or shape[3].is_dynamic or shape[3].get_length() != 3:
        raise UsageError(
            f'{path}: the input must be images (batch x height x width x 3), got {shape}'
        )
    samples = read_samples(images, limit).images
    if shape[1].is_static and shape[2].is_static:
        samples = [s.resize((shape[2].get_length(), shape[1].get_length())) for s in samples]
    write_openvino(quantize(model, (np.asarray(sample)[None] for sample in samples)), out)
    return len(samples)

"""Quantization to 8-bit integers, calibrated on images."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from mmsmt.deploy.session import run_native
from mmsmt.errors import UsageError

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

"""ONNX translations of operators that torch's exporter lacks (PyTorch 2.11, onnxscript 0.7.2)."""

from collections.abc import Callable
from typing import Any

import torch

import mmsmt.deploy.detections.suppression  # noqa: F401  defines its operator


def translations() -> dict[Any, Callable[..., Any]]:
    """Return the translations by operator, for `torch.onnx.export`."""
    from onnxscript import opset18

    op: Any = opset18  # its annotations are valid only for numeric constants

    def sort(x: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        """Translate SG-Former's stable sort; TopK keeps the order of equal values."""
        length = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]))
        return op.TopK(x, length, axis=dim, largest=int(descending), sorted=1)

    def suppression(boxes: Any, scores: Any, iou: float) -> Any:
        """Translate suppression: groups are ONNX's batch, with one class for positive scores."""
        picked = op.NonMaxSuppression(
            boxes,
            op.Unsqueeze(scores, op.Constant(value_ints=[1])),
            op.Constant(value_ints=[2**31 - 1]),
            op.Constant(value_floats=[iou]),
            op.Constant(value_floats=[0.0]),
        )
        group_and_box = op.Gather(picked, op.Constant(value_ints=[0, 2]), axis=1)
        none = op.Expand(op.Constant(value_floats=[0.0]), op.Shape(scores))
        number = op.Shape(op.Gather(picked, op.Constant(value_int=0), axis=1))
        ones = op.Expand(op.Constant(value_floats=[1.0]), number)
        kept = op.ScatterND(none, group_and_box, ones)
        return op.Greater(kept, op.Constant(value_float=0.5))

    return {
        torch.ops.aten.sort.stable: sort,
        torch.ops.mmsmt.suppress.default: suppression,
    }

"""ONNX translations of operators that torch's exporter lacks (PyTorch 2.11, onnxscript 0.7.2)."""

from collections.abc import Callable
from typing import Any

import torch


def translations() -> dict[Any, Callable[..., Any]]:
    """Operator to what writes it, for `torch.onnx.export`."""
    from onnxscript import opset18 as op

    def sort(x: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        """SG-Former's stable sort; TopK keeps equal values in the order of their indices."""
        length = op.Gather(op.Shape(x), op.Constant(value_ints=[dim]))
        return op.TopK(x, length, axis=dim, largest=int(descending), sorted=1)

    return {torch.ops.aten.sort.stable: sort}

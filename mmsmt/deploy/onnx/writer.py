"""Conversion of a graph to ONNX by torch's exporter."""

from typing import Any

import torch
from torch import Tensor, nn

from mmsmt.deploy.onnx.translations import translations
from mmsmt.errors import UsageError

OLDEST_OPSET = 18  # oldest that torch's exporter writes itself


def write_onnx(
    graph: nn.Module,
    example: Tensor,
    outputs: list[str] | None = None,
    free: dict[int, str] | None = None,
    opset: int = OLDEST_OPSET,
) -> Any:
    """Export a module in eval mode, with `images` as its only input.

    Args:
        graph: From images to a tensor or a tuple of them.
        example: Example images.
        outputs: Names of the results.
        free: Axes of the images that may have any length, and their names.
        opset: ONNX opset.

    Returns:
        The result of torch's exporter; its `model_proto` is the ONNX model.

    Raises:
        UsageError: If the module cannot be exported.
    """
    from torch.onnx.errors import OnnxExporterError

    with torch.no_grad():
        try:
            return torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=['images'],
                output_names=outputs,
                dynamic_shapes=(free,) if free else None,
                custom_translation_table=translations(),
            )
        except OnnxExporterError as error:
            raise UsageError(_why(error, free)) from error


def _why(error: BaseException, free: dict[int, str] | None) -> str:
    """Shorten the exporter's error to one line."""
    cause = error.__cause__ or error
    reason = next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    any_size = free and 'height' in free.values()
    what = 'this network at any size (a fixed one: --size H W)' if any_size else 'this network'
    return f'torch cannot export {what}: {reason}'

"""Export of a config's network to ONNX, verified before the file is written."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from mmsmt.checkpoints import write_atomically
from mmsmt.datasets.root import data_root
from mmsmt.deploy.convert import deploy
from mmsmt.deploy.detections.families import limit_detections
from mmsmt.deploy.onnx.graph import CLASSIFIER, Graph, Task, task_of
from mmsmt.deploy.onnx.translations import translations
from mmsmt.deploy.onnx.verify import Check, check
from mmsmt.errors import UsageError
from mmsmt.hosts.images import read_samples
from mmsmt.hosts.model import load_model
from mmsmt.hosts.request import Request
from mmsmt.mixers import HybridScaleAttention, SelfGuidedAttention, ShiftedWindowAttention

OLDEST_OPSET = 18  # that torch's exporter writes itself
NEWEST_OPSET_OF_BOXES = 21  # ONNX Runtime lacks the RoIAlign of 22
# Python decides here by the height and width of a map; in a graph that is decided once for all.
OF_ONE_SIZE = (HybridScaleAttention, SelfGuidedAttention, ShiftedWindowAttention)
# Of the images that a graph of any size is traced with: no side is a multiple of a stride or
# equal to another, so that nothing looks constant that is not.
TRACED = (2, 99, 141)


class Exported(NamedTuple):
    """What was written.

    Args:
        path: File.
        task: What of the network it computes.
        inputs, outputs: Name to shape, numbers or names of what varies.
        checks: One for each size that was tried; empty without ONNX Runtime.
    """

    path: Path
    task: str
    inputs: dict[str, list[int | str]]
    outputs: dict[str, list[int | str]]
    checks: list[Check]


def export(
    config: str,
    checkpoint: str,
    out: str | Path,
    *,
    backbone_only: bool = False,
    maps: bool = False,
    max_per_img: int | None = None,
    size: tuple[int, int] | None = None,
    deployed: bool = True,
    opset: int = OLDEST_OPSET,
    images: str | Path | None = None,
    limit: int = 3,
) -> Exported:
    """Export a config's network, with its preprocessing, to ONNX.

    The file takes uint8 images (B, H, W, 3), RGB. A classifier gives scores (B, classes), a
    segmenter logits (B, classes, H, W), a backbone its maps, and a detector boxes (B, K, 4) in
    pixels, scores (B, K), labels (B, K), count (B) and masks (B, K, h, w) of boxes if it has them.
    Where ONNX Runtime is installed, results on real images are compared with the host's.

    Args:
        config: Of a run, or a file with a `backbone`.
        checkpoint: Weights.
        out: File to write, `.onnx`.
        backbone_only: Export the backbone alone.
        maps: Export the maps of a detector's head or neck in place of boxes.
        max_per_img: K, at most so many boxes an image; by default what the config says.
        size: Height and width of all images; any size by default.
        deployed: Export the deploy form.
        opset: Of ONNX.
        images: Folder of images to compare on; the digits by default.
        limit: Compare on as many of them at most, drawn at random.

    Raises:
        UsageError: If an argument is wrong, a package is missing, torch cannot export the network
            or the file would differ from the host's.
        CheckpointError: If the checkpoint cannot be read or does not fit.
    """
    _check_arguments(out, size, opset)
    loaded = load_model(Request(Path(config).stem, config, checkpoint))
    if max_per_img is not None:
        limit_detections(loaded.model, max_per_img)
    task = task_of(loaded.model, backbone_only, maps)
    if task.limits and opset > NEWEST_OPSET_OF_BOXES:
        raise UsageError(
            f'--opset {opset}: boxes need at most {NEWEST_OPSET_OF_BOXES}, as ONNX Runtime lacks '
            'the RoIAlign of later ones'
        )
    can_check = find_spec('onnxruntime') is not None
    samples = read_samples(images or _digits(task), limit) if images or can_check else None
    form = loaded._replace(model=_deploy(loaded.model)) if deployed else loaded
    _check_freedom(form.model, size)
    program = _translate(Graph(form, task), size, opset)
    content = program.model_proto.SerializeToString()
    checks: list[Check] = []
    if samples and can_check:
        checks = check(content, loaded, task, samples.images, size)
    write_atomically(out, content)
    graph = program.model.graph
    inputs, outputs = (
        {value.name: _shape(value) for value in each} for each in (graph.inputs, graph.outputs)
    )
    return Exported(Path(out), task.name, inputs, outputs, checks)


def _check_arguments(out: str | Path, size: tuple[int, int] | None, opset: int) -> None:
    if Path(out).suffix != '.onnx':
        raise UsageError(f'--out {out}: the name must end in .onnx')
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise UsageError(f'--size takes H W, positive, got {" ".join(map(str, size))}')
    if opset < OLDEST_OPSET:
        raise UsageError(f'--opset must be at least {OLDEST_OPSET}, got {opset}')
    _require_packages()


def _require_packages() -> None:
    missing = [name for name in ('onnx', 'onnxscript') if not find_spec(name)]
    if missing:
        raise UsageError(
            f"exporting needs {' and '.join(missing)}: pip install 'mmsmt[export]', "
            'in a checkout pip install -r requirements/export.txt'
        )


def _deploy(model: nn.Module) -> nn.Module:
    try:
        return deploy(model)
    except ValueError as error:
        raise UsageError(f'{error}: add --no-deploy') from error


def _check_freedom(model: nn.Module, size: tuple[int, int] | None) -> None:
    """Refuse any size to networks that would become those of the traced size in silence."""
    fixed = {type(part).__name__ for part in model.modules() if isinstance(part, OF_ONE_SIZE)}
    if fixed and size is None:
        raise UsageError(
            f'{" and ".join(sorted(fixed))} can be exported for one size of images alone, as they '
            'take other ways for other sizes: --size H W'
        )


def _digits(task: Task) -> Path:
    """Images of the kind that a task is for."""
    return data_root() / ('digits/cls/val' if task is CLASSIFIER else 'digits/scenes/images/val')


def _translate(graph: Graph, size: tuple[int, int] | None, opset: int) -> Any:
    """Make torch's exporter write a graph."""
    from torch.onnx.errors import OnnxExporterError

    batch, height, width = TRACED if size is None else (TRACED[0], *size)
    example = torch.randint(256, (batch, height, width, 3), dtype=torch.uint8)
    axes = {0: 'batch'} if size else {0: 'batch', 1: 'height', 2: 'width'}
    with torch.no_grad():
        names = list(graph.named(example))
        try:
            return torch.onnx.export(
                graph.eval(),
                (example,),
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=['images'],
                output_names=names,
                dynamic_shapes=(axes,),
                custom_translation_table=translations(),
            )
        except OnnxExporterError as error:
            raise UsageError(_why(error, size)) from error


def _why(error: BaseException, size: tuple[int, int] | None) -> str:
    """One line of what the exporter has to say at length."""
    cause = error.__cause__ or error
    reason = next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    what = 'this network' if size else 'this network at any size (a fixed one: --size H W)'
    return f"torch's exporter cannot take {what}: {reason}"


def _shape(value: Any) -> list[int | str]:
    return [side if isinstance(side, int) else str(side) for side in value.shape]

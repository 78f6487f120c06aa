"""Export of a config's network to a runtime's file, verified before it is written."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from mmsmt.checkpoints import write_atomically
from mmsmt.datasets.root import data_root
from mmsmt.deploy.convert import deploy
from mmsmt.deploy.description import write_description
from mmsmt.deploy.detections.families import limit_detections
from mmsmt.deploy.export.graph import Graph
from mmsmt.deploy.export.tasks import CLASSIFIER, Task, task_of
from mmsmt.deploy.export.verify import Check, check
from mmsmt.deploy.onnx.session import OnnxRuntimeSession
from mmsmt.deploy.onnx.writer import OLDEST_OPSET, write_onnx
from mmsmt.deploy.openvino.session import OpenVinoSession, read_model
from mmsmt.deploy.openvino.writer import write_openvino
from mmsmt.deploy.session import DESCRIPTION, FORMATS, Session, format_of
from mmsmt.errors import ConfigError, UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.images import read_samples
from mmsmt.hosts.model import LoadedModel, load_model
from mmsmt.hosts.request import Request
from mmsmt.mixers import HybridScaleAttention, SelfGuidedAttention, ShiftedWindowAttention

NEWEST_OPSET_OF_BOXES = 21  # ONNX Runtime lacks RoIAlign of opset 22
# Networks that branch in Python on the size of a map, which a graph fixes.
OF_ONE_SIZE = (HybridScaleAttention, SelfGuidedAttention, ShiftedWindowAttention)
# Size of the images for tracing a graph of any size: no side is a multiple of a stride or equal to
# another, so that nothing looks constant by accident.
TRACED = (2, 99, 141)


class Exported(NamedTuple):
    """Summary of an export.

    Args:
        path: The file.
        task: Name of the exported task.
        inputs, outputs: Name to shape, of numbers and names of free axes.
        types: Name of an output to its NumPy dtype.
        checks: Comparisons, one per size; empty if the runtime is not installed.
        unit: Unit of their differences.
        undescribed: Why the file does not contain the config, and cannot be used without it.
    """

    path: Path
    task: str
    inputs: dict[str, list[int | str]]
    outputs: dict[str, list[int | str]]
    types: dict[str, str]
    checks: list[Check]
    unit: str
    undescribed: str


def export(
    config: str,
    checkpoint: str,
    out: str | Path,
    *,
    to: str | None = None,
    backbone_only: bool = False,
    maps: bool = False,
    labels: bool = False,
    masks: str = 'regions',
    max_per_img: int | None = None,
    size: tuple[int, int] | None = None,
    deployed: bool = True,
    opset: int = OLDEST_OPSET,
    images: str | Path | None = None,
    limit: int = 3,
) -> Exported:
    """Export a config's network, with its preprocessing, to ONNX or OpenVINO.

    The file takes uint8 images (B, H, W, 3), RGB. A classifier returns scores (B, classes), a
    segmenter logits (B, classes, H, W), a backbone its maps, and a detector boxes (B, K, 4) in
    pixels, scores (B, K), labels (B, K), count (B) and, if it has masks, masks (B, K, h, w) of
    boxes. If the runtime is installed, results on real images are compared with the host's.

    Args:
        config: A training config, or a file with a `backbone`.
        checkpoint: Weights.
        out: File to write: `.onnx`, or `.xml` for OpenVINO, which writes the weights to a `.bin`
            next to it.
        to: `onnx` or `openvino`; by default from the suffix of `out`.
        backbone_only: Export only the backbone.
        maps: Export the maps of a detector's head or neck instead of boxes.
        labels: Export the labels (B, H, W) of a segmenter instead of logits.
        masks: Export masks of boxes, `regions`, or pasted into whole `images` (B, K, H, W), bool.
        max_per_img: K, the maximum number of boxes per image; from the config by default.
        size: Height and width of all images; any size by default.
        deployed: Whether to export the deploy form.
        opset: ONNX opset.
        images: Folder of images for the comparison; the digits by default.
        limit: Maximum number of these images, drawn at random.

    Raises:
        UsageError: If an argument is wrong, a package is missing, torch cannot export the network,
            or the results would differ from the host's.
        CheckpointError: If the checkpoint cannot be read or does not fit.
    """
    kind = _check_arguments(out, to, size, opset)
    loaded = load_model(Request(Path(config).stem, config, checkpoint))
    if max_per_img is not None:
        limit_detections(loaded.model, max_per_img)
    task = task_of(loaded.model, backbone_only, maps, labels, masks)
    if task.limits and opset > NEWEST_OPSET_OF_BOXES:
        raise UsageError(
            f'--opset {opset}: boxes need at most {NEWEST_OPSET_OF_BOXES}, ONNX Runtime lacks '
            'RoIAlign of later opsets'
        )
    can_check = kind == 'openvino' or find_spec('onnxruntime') is not None
    samples = read_samples(images or _digits(task), limit) if images or can_check else None
    form = loaded._replace(model=_deploy(loaded.model)) if deployed else loaded
    _check_freedom(form.model, size)
    program = _translate(Graph(form, task), size, opset)
    description, missing = _describe(config, loaded)
    proto = program.model_proto
    if description:
        proto.metadata_props.add(key=DESCRIPTION, value=description)
    content = proto.SerializeToString()
    model = read_model(content) if kind == 'openvino' else None
    checks: list[Check] = []
    if samples and can_check:
        threads = torch.get_num_threads()
        session: Session = (
            OpenVinoSession(model, threads) if model else OnnxRuntimeSession(content, threads)
        )
        checks = check(session, loaded, task, samples.images, size)
    if model:
        if description:
            model.set_rt_info(description, [DESCRIPTION])
        write_openvino(model, Path(out))
    else:
        write_atomically(out, content)
    graph = program.model.graph
    inputs, outputs = (
        {value.name: _shape(value) for value in each} for each in (graph.inputs, graph.outputs)
    )
    types = {value.name: str(value.dtype.numpy()) for value in graph.outputs}
    return Exported(Path(out), task.name, inputs, outputs, types, checks, task.unit, missing)


def _describe(config: str, loaded: LoadedModel) -> tuple[str, str]:
    """Return the description of the model, and if that is impossible, why."""
    try:
        return write_description(read_config(config), loaded.dataset_meta, config), ''
    except ConfigError as error:
        return '', str(error)


def _check_arguments(
    out: str | Path, to: str | None, size: tuple[int, int] | None, opset: int
) -> str:
    """Return the name of the output format."""
    kind = to or format_of(out)
    suffixes = ' or '.join(known.suffix for known in FORMATS.values())
    if kind is None:
        raise UsageError(f'--out {out}: the name must end in {suffixes}')
    if format_of(out) != kind:
        raise UsageError(f'--to {kind} --out {out}: the name must end in {FORMATS[kind].suffix}')
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise UsageError(f'--size must be two positive numbers H W, got {" ".join(map(str, size))}')
    if opset < OLDEST_OPSET:
        raise UsageError(f'--opset must be at least {OLDEST_OPSET}, got {opset}')
    _require_packages(kind)
    return kind


def _require_packages(kind: str) -> None:
    missing = [name for name in FORMATS[kind].writes if not find_spec(name)]
    if missing:
        raise UsageError(
            f"export needs {' and '.join(missing)}: pip install 'mmsmt[{FORMATS[kind].extra}]', "
            f'in a checkout pip install -r requirements/{FORMATS[kind].extra}.txt'
        )


def _deploy(model: nn.Module) -> nn.Module:
    try:
        return deploy(model)
    except ValueError as error:
        raise UsageError(f'{error}: add --no-deploy') from error


def _check_freedom(model: nn.Module, size: tuple[int, int] | None) -> None:
    """Raise for networks whose export would silently be fixed to the traced size."""
    fixed = {type(part).__name__ for part in model.modules() if isinstance(part, OF_ONE_SIZE)}
    if fixed and size is None:
        raise UsageError(
            f'{" and ".join(sorted(fixed))} can only be exported for a fixed image size, because '
            'they branch on it: add --size H W'
        )


def _digits(task: Task) -> Path:
    """Return a folder of digit images suited to a task."""
    return data_root() / ('digits/cls/val' if task is CLASSIFIER else 'digits/scenes/images/val')


def _translate(graph: Graph, size: tuple[int, int] | None, opset: int) -> Any:
    """Run torch's exporter on a graph."""
    batch, height, width = TRACED if size is None else (TRACED[0], *size)
    example = torch.randint(256, (batch, height, width, 3), dtype=torch.uint8)
    axes = {0: 'batch'} if size else {0: 'batch', 1: 'height', 2: 'width'}
    with torch.no_grad():
        names = list(graph.named(example))
    return write_onnx(graph.eval(), example, names, axes, opset)


def _shape(value: Any) -> list[int | str]:
    return [side if isinstance(side, int) else str(side) for side in value.shape]

"""Grad-CAM pictures for any config of any host."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmsmt.analysis.cam.layers import Layer, find_layer
from mmsmt.analysis.cam.maps import enlarge, layer_cam, share_inside
from mmsmt.analysis.cam.picture import Panel, draw_panels
from mmsmt.analysis.cam.targets import Seen, Target, find_targets
from mmsmt.apis.models import FoundModel, find_model
from mmsmt.apis.predictor import Predictor, Sample
from mmsmt.apis.sources import Item
from mmsmt.deploy.session import format_of
from mmsmt.errors import ConfigError, UsageError
from mmsmt.hosts.config import read_config
from mmsmt.hosts.request import Request


class Explained(NamedTuple):
    """A prediction and its map.

    Args:
        label: Class and score.
        cam: Map (H, W), not negative, at the size of the network's input.
        grid: Height and width of the layer's map, from which `cam` is interpolated.
        inside: Share of the map's sum inside the predicted region; None for a whole image.
        area: Share of the image that the predicted region covers.
        target: The explained prediction.
    """

    label: str
    cam: Tensor
    grid: tuple[int, int]
    inside: float | None
    area: float | None
    target: Target


class Drawn(NamedTuple):
    """A written picture, and the predictions in it."""

    path: Path
    found: list[Explained]


class Explainer:
    """Explain predictions of a model by Grad-CAM.

    Args:
        config: File, or `package::path` in a host's configs.
        checkpoint: `.pth` or `.safetensors`; empty for random weights.
        stage: Stage whose map is used, from 1. By default, without `layer`, it is the last map that
            the backbone returns.
        layer: Module whose map is used, such as `backbone.layers.11.ln1`.
        method: `gradcam` or `hirescam`, see `layer_cam`; by default HiResCAM for boxes and Grad-CAM
            otherwise.
        device: The GPU by default, if there is one.

    Raises:
        UserError: If any argument cannot be used.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str = '',
        stage: int | None = None,
        layer: str | None = None,
        method: str | None = None,
        device: str | None = None,
    ) -> None:
        if format_of(checkpoint):
            raise UsageError(
                f'{checkpoint}: an exported file has no gradients; use the checkpoint that it was '
                'exported from'
            )
        if stage is not None and layer is not None:
            raise UsageError('--stage and --layer cannot be combined')
        torch.manual_seed(0)  # for random weights
        found = (
            find_model(config, checkpoint)
            if checkpoint
            else FoundModel(config, read_config(config), '', {}, None)
        )
        self.predictor = Predictor(found, device)
        self.model: Any = self.predictor.model
        self.method = method
        self.layer: Layer = find_layer(self.model, stage, layer)

    def __call__(
        self, sample: Sample, class_name: str | None = None, box: int | None = None
    ) -> list[Explained]:
        """Predict an image, and explain a class, a box or the best predictions.

        Args:
            sample: The result of `predictor.read`.
            class_name: See `find_targets`, also for the default.
            box: See `find_targets`.

        Raises:
            UserError: If there is no such class or box, or the layer returns no map.
        """
        names = self.predictor.classes.names
        wanted = [] if class_name is None else [class_name]
        index = next(iter(self.predictor.classes.find(wanted, '--class')), None)
        batch = self.predictor.collate([sample.packed])
        data = self.model.data_preprocessor(batch, False)
        seen = Seen(data['inputs'], data['data_samples'])
        height, width = sample.packed['inputs'].shape[-2:]  # without the padding of a batch
        found = []
        for target in find_targets(self.model, seen, names, index, box):
            method = self.method or target.method
            coarse = layer_cam(self.model, self.layer, target.score, seen.image, method)
            padded = (seen.image.shape[2], seen.image.shape[3])
            cam = enlarge(coarse, padded)[:height, :width].cpu()
            grid = (coarse.shape[0], coarse.shape[1])
            region = None if target.region is None else target.region[:height, :width].cpu()
            shares: tuple[float | None, float | None] = (None, None)
            if region is not None:
                shares = (share_inside(cam, region), region.float().mean().item())
            found.append(Explained(target.label, cam, grid, *shares, target))
        return found


def draw_cams(
    request: Request,
    images: Sequence[str | Path],
    out: str | Path = 'work_dirs/cam',
    *,
    class_name: str | None = None,
    stage: int | None = None,
    layer: str | None = None,
    box: int | None = None,
    method: str | None = None,
    device: str | None = None,
) -> list[Drawn]:
    """Write `<name>_cam.png` to a folder for every image.

    Args:
        request: Config and checkpoint.
        images: Image files.
        out: Output folder.
        class_name: See `Explainer.__call__`.
        stage: See `Explainer`.
        layer: See `Explainer`.
        box: Index of a box, see `Explainer.__call__`.
        method: See `Explainer`.
        device: See `Explainer`.

    Raises:
        UserError: If an image cannot be read, two have the same name, or an argument does not fit.
    """
    names = [Path(image).stem for image in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'two images are called {twice[0]}; write them to different folders')
    explain = Explainer(request.config, request.file, stage, layer, method, device)
    weights = request.file or 'random weights'
    drawn = []
    for name, image in zip(names, images, strict=True):
        sample = explain.predictor.read(Item(name, name, str(image)))
        try:
            found = explain(sample, class_name, box)
        except ConfigError as error:
            raise ConfigError(f'{image}: {error}') from error
        path = Path(out) / f'{name}_cam.png'
        title = f'{Path(image).name}: {request.label}, {Path(weights).name}, {explain.layer.name}'
        draw_panels(_photograph(sample), [_panel(each) for each in found], title, path)
        drawn.append(Drawn(path, found))
    return drawn


def _panel(found: Explained) -> Panel:
    height, width = found.cam.shape
    region = found.target.region
    pixels = None if region is None else region[:height, :width].cpu().numpy()
    title = found.label
    if found.inside is not None and found.area is not None:
        title += f'\n{found.inside:.1%} inside, area {found.area:.1%}'
    return Panel(title, found.cam.numpy(), pixels, found.target.box)


def _photograph(sample: Sample) -> np.ndarray:
    """Return the network's input before normalisation: RGB (H, W, 3) uint8."""
    pixels = sample.packed['inputs'].permute(1, 2, 0).numpy()
    return Sample(sample.item, pixels, sample.packed).picture

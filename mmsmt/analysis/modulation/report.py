"""Report on an SMT: modulation maps of an image, and the reach of heads."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.common.reports import write_csv
from mmsmt.analysis.modulation.maps import HeadReach, ModulationMap, head_reaches, modulation_maps
from mmsmt.hosts.images import central_view, open_image
from mmsmt.hosts.model import backbone_of, load_model
from mmsmt.hosts.request import Request


def report_modulation(
    request: Request, image: Path, out: Path, size: int = 224, seed: int = 0
) -> list[HeadReach]:
    """Draw the modulation maps of an image and the reach of the heads of one model.

    Writes `modulation.png`, `reach.png` and `reach.csv`.

    Args:
        request: The model.
        image: Image file; its short side is resized, and its centre cropped.
        out: Output folder.
        size: Input size of the model, in pixels.
        seed: Seed of random weights.

    Raises:
        UsageError, CheckpointError: If the model or the image cannot be read.
        ValueError: If the model has no scale-aware modulation.
    """
    view = central_view(open_image(image), size)
    loaded = load_model(request, seed=seed)
    backbone = backbone_of(loaded.model)
    maps, reaches = modulation_maps(backbone, loaded.batch([view])), head_reaches(backbone)
    title = f'{request.label} ({loaded.weights})'
    save_figure(draw_maps(title, view, maps), out / 'modulation.png')
    _draw_reaches(title, reaches, out / 'reach.png')
    write_csv(out / 'reach.csv', [reach._asdict() for reach in reaches])
    return reaches


def draw_maps(title: str, view: Image.Image, maps: Sequence[ModulationMap]) -> Figure:
    """Draw the image and every map, one row per stage, each scaled from its minimum to maximum."""
    rows = [list(found) for _, found in groupby(maps, lambda found: found.stage)]
    columns = max(map(len, rows)) + 1
    figure, axes = subplots(len(rows), columns, 1.9 * columns, 2.1 * len(rows) + 0.3)
    for axis in axes.flat:
        axis.axis('off')
    axes[0, 0].imshow(view)
    for axis_row, row in zip(axes, rows, strict=True):
        for axis, found in zip(axis_row[1:], row, strict=False):
            axis.imshow(found.values.numpy(), cmap='viridis')
            axis.set_title(f'stage {found.stage}, block {found.block}', fontsize='small')
    figure.suptitle(title, fontsize='small')
    return figure


def _draw_reaches(title: str, reaches: Sequence[HeadReach], out: Path) -> None:
    """Plot the relative receptive field of heads, one group of bars per stage."""
    figure, ((axis,),) = subplots(1, 1, 6, 3)
    heads = sorted({reach.head for reach in reaches})
    width = 0.8 / len(heads)
    for head in heads:
        mine = [reach for reach in reaches if reach.head == head]
        places = [reach.stage + (head - len(heads) / 2 - 0.5) * width for reach in mine]
        label = f'head {head}, {mine[0].kernel} x {mine[0].kernel}'
        axis.bar(places, [reach.relative for reach in mine], width, label=label)
    stages = sorted({reach.stage for reach in reaches})
    axis.set(xlabel='stage', ylabel='relative receptive field', xticks=stages)
    figure.legend(fontsize='small', loc='outside right upper')
    axis.set_title(title, fontsize='small')
    save_figure(figure, out)

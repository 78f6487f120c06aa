"""Pictures of significance and token merging, drawn over images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.significance.maps import BlockMap, block_maps, rank_pixels
from mmsmt.errors import UsageError
from mmsmt.hosts.images import open_image
from mmsmt.hosts.model import backbone_of, load_model
from mmsmt.hosts.request import Request

COLUMNS = 6
CELL = 2.1  # inches
# From the most merged to the least merged pixels; two runs use the outer colours.
MERGED = {
    '#30437a': 'least significant, most merged',
    '#3aa3a0': 'between',
    '#ffd23f': 'most significant, least merged',
}
OPACITY = 0.6


def draw_images(request: Request, files: Sequence[Path], out: Path) -> list[Path]:
    """Write `<name>_significance.png` to a folder for each image, and return these files.

    Raises:
        UsageError: If a file is not an image, two have the same name, or the model cannot be built
            or has no hybrid-scale block.
        CheckpointError: If the checkpoint does not fit, or a picture cannot be written.
    """
    names = [file.stem for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'two images are called {twice[0]}; write them to different folders')
    images = [open_image(file) for file in files]
    loaded = load_model(request)
    written = [out / f'{name}_significance.png' for name in names]
    for file, image, path in zip(files, images, written, strict=True):
        maps = block_maps(backbone_of(loaded.model), loaded.batch([image]))
        title = f'{file.name}: {request.label}, {loaded.weights}'
        save_figure(draw_maps(image, maps, title), path, dpi=70)
    return written


def draw_maps(image: Image.Image, maps: Sequence[BlockMap], title: str) -> Figure:
    """Draw an image, then the maps of one image (1, H, W) over it, block by block.

    Significance is drawn by rank, because only the order of pixels matters.
    """
    rows = -(-(len(maps) + 1) // COLUMNS)
    columns = -(-(len(maps) + 1) // rows)
    cell = CELL * image.height / image.width
    figure, axes = subplots(rows, columns, CELL * columns, (cell + 0.35) * rows + 0.75)
    for axis in axes.flat:
        axis.axis('off')
    axes.flat[0].imshow(image)
    axes.flat[0].set_title('image', fontsize=8)
    grey = image.convert('L')
    for axis, block_map in zip(axes.flat[1:], maps):
        axis.imshow(grey, cmap='gray', vmin=0, vmax=255)
        _draw_map(axis, block_map, image.size)
    handles = [Patch(color=color, label=kind) for color, kind in MERGED.items()]
    figure.legend(handles=handles, loc='outside lower center', ncols=3, fontsize=8)
    figure.suptitle(title, fontsize=9)
    return figure


def _draw_map(axis: Axes, block_map: BlockMap, size: tuple[int, int]) -> None:
    """Draw a map over the whole area of an image of (width, height), its pixels as squares."""
    runs, colors = block_map.runs, list(MERGED)
    scale: dict[str, Any]
    if runs:
        values = block_map.values[0].cpu().numpy()
        drawn = np.select([values == run for run in runs], range(len(runs)))
        said = f'{", ".join(map(str, runs))} to 1'
        colormap = ListedColormap([colors[0], *colors[4 - len(runs) :]])
        scale = dict(cmap=colormap, norm=BoundaryNorm(np.arange(len(runs) + 1) - 0.5, len(runs)))
    else:
        drawn, said = rank_pixels(block_map.values)[0].numpy(), 'significance'
        scale = dict(cmap='inferno', vmin=0, vmax=1)
    extent = (-0.5, size[0] - 0.5, size[1] - 0.5, -0.5)
    axis.imshow(drawn, alpha=OPACITY, extent=extent, **scale)
    axis.set_title(f'stage {block_map.stage}, block {block_map.block}: {said}', fontsize=8)

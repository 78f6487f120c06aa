"""Significance and merging drawn over the image, a sheet an image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch
from PIL import Image

from mmsmt.analysis.runs.curves import plt
from mmsmt.analysis.significance.maps import BlockMap, rank_pixels

COLUMNS = 6
CELL = 2.1  # inches
# From pixels that are merged hardest to those that are merged least; two runs take the outer ones.
MERGED = ('#30437a', '#3aa3a0', '#ffd23f')
OPACITY = 0.6


def draw_guidance(
    image: Image.Image, maps: Sequence[BlockMap], title: str, out: str | Path, dpi: int = 70
) -> None:
    """Draw the maps of one image over it: the image first, then block by block.

    Significance is drawn by rank, for only the order of pixels guides.

    Args:
        image: What the maps are of.
        maps: One of a block each, (1, H, W).
        title: Above the sheet.
        out: PNG file to write.
        dpi: Dots an inch.
    """
    cells = len(maps) + 1
    rows = -(-cells // COLUMNS)
    columns = -(-cells // rows)
    cell = CELL * image.height / image.width
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(CELL * columns, (cell + 0.35) * rows + 0.75),
        squeeze=False,
        layout='constrained',
    )
    for axis in axes.flat:
        axis.axis('off')
    axes.flat[0].imshow(image)
    axes.flat[0].set_title('image', fontsize=8)
    grey = image.convert('L')
    for axis, block_map in zip(axes.flat[1:], maps):
        axis.imshow(grey, cmap='gray', vmin=0, vmax=255)
        _draw_map(axis, block_map, image.size)
    kinds = ('significant least, merged hardest', 'between', 'significant most, merged least')
    handles = [Patch(color=color, label=kind) for color, kind in zip(MERGED, kinds)]
    figure.legend(handles=handles, loc='outside lower center', ncols=3, fontsize=8)
    figure.suptitle(title, fontsize=9)
    figure.savefig(out, dpi=dpi)
    plt.close(figure)


def _draw_map(axis: Axes, block_map: BlockMap, size: tuple[int, int]) -> None:
    """Draw a map over the whole area of an image of (width, height), its pixels as squares."""
    extent = (-0.5, size[0] - 0.5, size[1] - 0.5, -0.5)
    name = f'stage {block_map.stage}, block {block_map.block}'
    values = block_map.values[0].cpu().numpy()
    if block_map.runs:
        runs = block_map.runs
        part = np.select([values == run for run in runs], range(len(runs)))
        colors = ListedColormap([MERGED[0], *MERGED[3 - len(runs) + 1 :]])
        norm = BoundaryNorm(np.arange(len(runs) + 1) - 0.5, len(runs))
        axis.imshow(part, cmap=colors, norm=norm, alpha=OPACITY, extent=extent)
        axis.set_title(f'{name}: {", ".join(map(str, runs))} to 1', fontsize=8)
    else:
        ranks = rank_pixels(block_map.values)[0].numpy()
        axis.imshow(ranks, cmap='inferno', vmin=0, vmax=1, alpha=OPACITY, extent=extent)
        axis.set_title(f'{name}: significance', fontsize=8)

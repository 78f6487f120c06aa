"""Modulation maps of one image, and the reach of heads, as pictures and a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmsmt.analysis.common.reports import whole_file, write_csv
from mmsmt.analysis.modulation.maps import HeadReach, ModulationMap, head_reaches, modulation_maps
from mmsmt.analysis.runs.curves import plt
from mmsmt.hosts.images import central_view, open_image, subject_batch
from mmsmt.hosts.model import backbone_of, load_subject
from mmsmt.hosts.request import Request


def report_modulation(
    request: Request, image: Path, out: Path, size: int = 224, seed: int = 0
) -> list[HeadReach]:
    """Draw the modulation maps of an image and the reach of the heads of one network.

    Writes `modulation.png`, `reach.png` and `reach.csv`.

    Args:
        request: The network.
        image: File; its short side is resized, and its centre cut out.
        out: Folder.
        size: Side that the network sees, in pixels.
        seed: Of random weights.

    Returns:
        How far heads reach.

    Raises:
        UsageError, CheckpointError: If the network or the image cannot be read.
        ValueError: If the network has no scale-aware modulation.
    """
    view = central_view(open_image(image), size, size)
    subject = load_subject(request, seed=seed)
    backbone = backbone_of(subject.model)
    maps = modulation_maps(backbone, subject_batch(subject, [view]))
    reaches = head_reaches(backbone)
    out.mkdir(parents=True, exist_ok=True)
    title = f'{request.label} ({subject.weights})'
    draw_maps(title, np.asarray(view), maps, out / 'modulation.png')
    draw_reaches(title, reaches, out / 'reach.png')
    write_csv(out / 'reach.csv', [reach._asdict() for reach in reaches])
    return reaches


def draw_maps(title: str, view: np.ndarray, maps: Sequence[ModulationMap], out: Path) -> None:
    """Draw the image and every map, a row a stage, colours from a map's least to its greatest.

    Args:
        title: Above the picture.
        view: What the network saw, (H, W, 3), uint8.
        maps: In the order of the blocks.
        out: PNG file to write.
    """
    stages = sorted({found.stage for found in maps})
    rows = [[found for found in maps if found.stage == stage] for stage in stages]
    columns = max(map(len, rows)) + 1
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(1.9 * columns, 2.1 * len(rows) + 0.3),
        squeeze=False,
        layout='constrained',
    )
    for axis in axes.flat:
        axis.axis('off')
    axes[0, 0].imshow(view)
    for axis_row, row in zip(axes, rows, strict=True):
        for axis, found in zip(axis_row[1:], row, strict=False):
            axis.imshow(found.values.numpy(), cmap='viridis')
            axis.set_title(f'stage {found.stage}, block {found.block}', fontsize='small')
    figure.suptitle(title, fontsize='small')
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)


def draw_reaches(title: str, reaches: Sequence[HeadReach], out: Path) -> None:
    """Draw the relative receptive field of heads, a group of bars a stage.

    Args:
        title: Above the picture.
        reaches: As `head_reaches` gives them.
        out: PNG file to write.
    """
    figure, axis = plt.subplots(figsize=(6, 3), layout='constrained')
    heads = sorted({reach.head for reach in reaches})
    for head in heads:
        mine = [reach for reach in reaches if reach.head == head]
        places = [reach.stage + (head - len(heads) / 2 - 0.5) * 0.8 / len(heads) for reach in mine]
        label = f'head {head}, {mine[0].kernel} x {mine[0].kernel}'
        axis.bar(places, [reach.relative for reach in mine], 0.8 / len(heads), label=label)
    axis.set(
        xlabel='stage',
        ylabel='relative receptive field',
        xticks=sorted({reach.stage for reach in reaches}),
    )
    figure.legend(fontsize='small', loc='outside right upper')
    axis.set_title(title, fontsize='small')
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)

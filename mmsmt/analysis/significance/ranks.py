"""Ranks of significance inside and outside boxes: does an SG-Former attend to the objects?"""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmsmt.analysis.common.reports import Row, markdown_table, write_json
from mmsmt.analysis.significance.maps import RankMeans, block_maps, rank_inside_outside
from mmsmt.errors import UsageError
from mmsmt.hosts.images import open_image
from mmsmt.hosts.model import backbone_of, load_model
from mmsmt.hosts.request import Request


class BoxedImage(NamedTuple):
    """An image file and its boxes: left, top, right and bottom in pixels, (N, 4)."""

    file: Path
    boxes: Tensor


def read_boxes(annotations: Path, folder: Path, limit: int | None = None) -> list[BoxedImage]:
    """Read the images with boxes from a COCO annotation file, in its order.

    Raises:
        UsageError: If the file cannot be read or has no boxes, or the folder is missing.
    """
    if not folder.is_dir():
        raise UsageError(f'{folder}: no such folder of images')
    try:
        content = json.loads(annotations.read_text())
        boxes: dict[int, list[list[float]]] = {}
        for annotation in content['annotations']:
            x, y, width, height = annotation['bbox']
            boxes.setdefault(annotation['image_id'], []).append([x, y, x + width, y + height])
        images = [
            BoxedImage(folder / image['file_name'], torch.tensor(boxes[image['id']]))
            for image in content['images']
            if image['id'] in boxes
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f'{type(error).__name__}: {error}'
        raise UsageError(f'{annotations}: not a readable COCO file: {reason}') from error
    if not images:
        raise UsageError(f'{annotations}: no boxes in it')
    return images[:limit]


def rank_models(
    requests: Sequence[Request],
    annotations: Path,
    folder: Path,
    out: Path,
    limit: int | None = None,
) -> list[Row]:
    """Return mean ranks of significance inside and outside boxes, for each model and stage.

    Every image has the same weight, and so has every hybrid-scale block of a stage. An image is
    left out of a stage in which all pixels are inside the boxes, or none.

    Args:
        requests: The models.
        annotations: COCO file.
        folder: Folder of its images, which are used at their own sizes.
        out: Output folder; the rows are written to `significance.json`.
        limit: Use only the first images, at least one.

    Returns:
        Rows of `model`, `weights`, `stage`, `inside`, `outside`, `higher_inside` (the share of
        images whose mean is higher inside) and `images`, the number of images used.

    Raises:
        UsageError: If boxes or an image cannot be read, or a model has no hybrid-scale block.
        CheckpointError: If a checkpoint does not fit, or the rows cannot be written.
    """
    if limit is not None and limit < 1:
        raise UsageError(f'--limit must be positive, got {limit}')
    images = read_boxes(annotations, folder, limit)
    rows = [row for request in requests for row in _rank_stages(request, images)]
    write_json(out / 'significance.json', rows)
    return rows


def _rank_stages(request: Request, images: Sequence[BoxedImage]) -> list[Row]:
    loaded = load_model(request)
    ranks: dict[int, list[RankMeans]] = {}
    for boxed in images:
        image = open_image(boxed.file)
        size = (image.height, image.width)
        maps = block_maps(backbone_of(loaded.model), loaded.batch([image]))
        guides = [block_map for block_map in maps if not block_map.runs]
        for stage, blocks in groupby(guides, lambda guide: guide.stage):
            means = [rank_inside_outside(block.values[0], boxed.boxes, size) for block in blocks]
            told = [mean for mean in means if mean]
            ranks.setdefault(stage, []).extend([_mean(told)] if told else [])
    return [
        {
            'model': loaded.label,
            'weights': loaded.weights,
            'stage': stage,
            **(_mean(found)._asdict() if found else {'inside': None, 'outside': None}),
            'higher_inside': sum(m.inside > m.outside for m in found) / max(len(found), 1),
            'images': len(found),
        }
        for stage, found in ranks.items()
    ]


def _mean(means: Sequence[RankMeans]) -> RankMeans:
    return RankMeans(*torch.tensor(means, dtype=torch.float64).mean(0).tolist())


def tabulate_ranks(rows: Sequence[Row]) -> str:
    """Format the rows of `rank_models` as a Markdown table."""
    table = [['model', 'stage', 'inside', 'outside', 'images with more inside']]
    for row in rows:
        cells = ['-', '-', '0 images']
        if row['images']:
            cells = [f'{row[side]:.3f}' for side in ('inside', 'outside')]
            cells.append(f'{row["higher_inside"]:.0%} of {row["images"]}')
        table.append([row['model'], row['stage'], *cells])
    return markdown_table(table)

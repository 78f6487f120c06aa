"""Is what an SG-Former finds significant where the objects are? Ranks inside and outside boxes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmsmt.analysis.significance.maps import RankMeans, look_at_guidance, rank_inside_outside
from mmsmt.errors import UsageError
from mmsmt.hosts.images import open_image, subject_batch
from mmsmt.hosts.model import backbone_of, load_subject
from mmsmt.hosts.request import Request


class BoxedImage(NamedTuple):
    """An image file and what is on it.

    Args:
        file: Path.
        boxes: Left, top, right and bottom in pixels, (N, 4).
    """

    file: Path
    boxes: Tensor


def read_boxes(annotations: Path, folder: Path, limit: int | None = None) -> list[BoxedImage]:
    """Read a COCO annotation file.

    Args:
        annotations: JSON file.
        folder: Of the images under the names in that file.
        limit: Take the first images only.

    Returns:
        The images that have boxes, in the file's order.

    Raises:
        UsageError: If the file cannot be read or has no box, or if the folder is missing.
    """
    if not folder.is_dir():
        raise UsageError(f'{folder}: no such folder of images')
    try:
        content = json.loads(annotations.read_text())
        boxes: dict[int, list[list[float]]] = {}
        for annotation in content['annotations']:
            left, top, width, height = annotation['bbox']
            boxes.setdefault(annotation['image_id'], []).append(
                [left, top, left + width, top + height]
            )
        images = [
            BoxedImage(folder / image['file_name'], torch.tensor(boxes[image['id']]))
            for image in content['images']
            if image['id'] in boxes
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f'{type(error).__name__}: {error}'
        raise UsageError(f'{annotations}: no readable COCO annotations: {reason}') from error
    if not images:
        raise UsageError(f'{annotations}: has no box on any image')
    return images[:limit]


def study_significance(request: Request, images: Sequence[BoxedImage]) -> list[dict[str, Any]]:
    """Mean ranks of significance inside and outside the boxes, stage by stage.

    Every image counts alike, and in it every hybrid-scale block of a stage; an image takes no part
    in a stage in which all pixels are inside the boxes, or none.

    Args:
        request: The network.
        images: At their own sizes.

    Returns:
        A row a stage: `model`, `weights`, `stage`, `inside`, `outside`, `higher_inside` (the
        share of images whose mean is higher inside) and `images`, how many took part.

    Raises:
        UsageError: If the network has no hybrid-scale block or a file is no image.
        CheckpointError: If the checkpoint does not fit.
    """
    subject = load_subject(request)
    ranks: dict[int, list[RankMeans]] = {}
    for boxed in images:
        image = open_image(boxed.file)
        found: dict[int, list[RankMeans]] = {}
        for block_map in look_at_guidance(
            backbone_of(subject.model), subject_batch(subject, [image])
        ):
            if not block_map.runs:
                size = (image.height, image.width)
                means = rank_inside_outside(block_map.values[0], boxed.boxes, size)
                found.setdefault(block_map.stage, []).extend([means] if means else [])
        for stage, means_of_blocks in found.items():
            of_stage = ranks.setdefault(stage, [])
            of_stage.extend([_mean(means_of_blocks)] if means_of_blocks else [])
    return [
        {
            'model': subject.label,
            'weights': subject.weights,
            'stage': stage,
            **(_mean(of_stage)._asdict() if of_stage else {'inside': None, 'outside': None}),
            'higher_inside': sum(m.inside > m.outside for m in of_stage) / max(len(of_stage), 1),
            'images': len(of_stage),
        }
        for stage, of_stage in ranks.items()
    ]


def _mean(means: Sequence[RankMeans]) -> RankMeans:
    return RankMeans(*torch.tensor(means, dtype=torch.float64).mean(0).tolist())


def tabulate_ranks(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `study_significance` as a Markdown table."""
    lines = [
        '| model | stage | inside | outside | images with more inside |',
        '|---|---|---|---|---|',
    ]
    for row in rows:
        if row['images']:
            means = f'{row["inside"]:.3f} | {row["outside"]:.3f}'
            more = f'{row["higher_inside"]:.0%} of {row["images"]}'
        else:
            means, more = '- | -', '0 images'
        lines.append(f'| {row["model"]} | {row["stage"]} | {means} | {more} |')
    return '\n'.join(lines)

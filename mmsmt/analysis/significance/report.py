"""From a tool's arguments to pictures and tables of what guides an SG-Former."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmsmt.analysis.common.reports import whole_file
from mmsmt.analysis.significance.maps import look_at_guidance
from mmsmt.analysis.significance.picture import draw_guidance
from mmsmt.analysis.significance.ranks import read_boxes, study_significance
from mmsmt.errors import UsageError
from mmsmt.hosts.images import open_image, subject_batch
from mmsmt.hosts.model import backbone_of, load_subject
from mmsmt.hosts.request import Request


def draw_images(request: Request, files: Sequence[Path], out: Path) -> list[Path]:
    """Draw a sheet an image, `<name>_significance.png`.

    Args:
        request: The network; of a classifier, detector or segmenter the backbone is taken.
        files: Images.
        out: Folder, made where it is missing.

    Returns:
        The files written.

    Raises:
        UsageError: If a file is no image, two have one name, the network cannot be built or has
            no hybrid-scale block, or the folder cannot be made.
        CheckpointError: If the checkpoint does not fit.
    """
    names = [file.stem for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'two images are called {twice[0]}; draw them into two folders')
    images = [open_image(file) for file in files]
    subject = load_subject(request)
    written = []
    for file, image in zip(files, images, strict=True):
        maps = look_at_guidance(backbone_of(subject.model), subject_batch(subject, [image]))
        path = make_folder(out) / f'{file.stem}_significance.png'
        with whole_file(path) as partial:
            draw_guidance(image, maps, f'{file.name}: {request.label}, {subject.weights}', partial)
        written.append(path)
    return written


def rank_models(
    requests: Sequence[Request],
    annotations: Path,
    folder: Path,
    out: Path,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Study networks on one set of boxes; `significance.json` in `out` holds the rows.

    Args:
        requests: The networks.
        annotations: COCO file.
        folder: Of its images.
        out: Folder, made where it is missing.
        limit: Take the first images only, at least one.

    Returns:
        The rows of `study_significance` for each network.

    Raises:
        UsageError, CheckpointError: As that, and if the boxes cannot be read.
    """
    if limit is not None and limit < 1:
        raise UsageError(f'--limit must be positive, got {limit}')
    images = read_boxes(annotations, folder, limit)
    rows = [row for request in requests for row in study_significance(request, images)]
    path = make_folder(out) / 'significance.json'
    with whole_file(path) as partial:
        partial.write_text(json.dumps(rows, indent=1) + '\n')
    return rows


def make_folder(folder: Path) -> Path:
    """Make a folder where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f'{folder}: cannot be made a folder: {error}') from error
    return folder

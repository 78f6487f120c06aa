"""Receptive fields of several networks as numbers and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsmt.analysis.common.reports import measure_each, progress, whole_file, write_csv
from mmsmt.analysis.receptive_field.fields import (
    SHARES,
    area_ratios,
    held_shares,
    receptive_fields,
    square_area,
    to_log_scale,
)
from mmsmt.analysis.runs.curves import plt
from mmsmt.hosts.images import Samples, central_view, subject_batch
from mmsmt.hosts.model import load_subject
from mmsmt.hosts.request import Request

BATCH = 4
# Of the maximum; what is below is drawn black.
FLOOR = 1e-5


def report_fields(
    requests: Sequence[Request],
    samples: Samples,
    out: Path,
    size: int = 224,
    stages: tuple[int, ...] = (0, 1, 2, 3),
    seed: int = 0,
    device: str = 'cpu',
) -> list[dict[str, Any]]:
    """Measure the receptive fields of networks and draw them.

    Writes `<label>.json` and `<label>.png` for each network, and `receptive_field.csv` and
    `receptive_field.png` for all.

    Args:
        requests: The networks; a request's file is a checkpoint.
        samples: Images; resized by their short side and cut at the centre.
        out: Folder.
        size: Side of the square that the networks see, in pixels.
        stages: Backbones' `out_indices`.
        seed: Of random weights.
        device: Where networks run.

    Returns:
        A row for each network, stage and share, as in the CSV file.

    Raises:
        UsageError, CheckpointError: If a network cannot be built or loaded.
        ValueError: If a network gives no maps.
    """

    def measure(request: Request) -> dict[str, Any]:
        subject = load_subject(request, stages, seed)
        subject.model.to(device)
        views = [central_view(image, size, size) for image in samples.images]
        starts = range(0, len(views), BATCH)
        sums: list[Tensor] = [torch.zeros(size, size, dtype=torch.float64) for _ in stages]
        for start in progress(starts, request.label, len(starts)):
            batch = subject_batch(subject, views[start : start + BATCH])
            fields = receptive_fields(subject.model, batch)
            sums = [a + b * len(batch) for a, b in zip(sums, fields, strict=True)]
        fields = [total / len(views) for total in sums]
        draw_fields(f'{request.label} ({subject.weights})', stages, fields, _picture(out, request))
        described = [_describe(i, field) for i, field in zip(stages, fields, strict=True)]
        return {'weights': subject.weights, 'stages': described}

    settings = dict(size=size, stages=stages, seed=seed, images=samples.content)
    reports = measure_each(out, requests, settings, measure)
    rows = [
        {'model': report['label'], 'weights': report['weights'], 'stage': stage['stage'], **ratio}
        for report in reports
        for stage in report['stages']
        for ratio in stage['ratios']
    ]
    write_csv(out / 'receptive_field.csv', rows)
    draw_curves(reports, size, out / 'receptive_field.png')
    return rows


def _picture(out: Path, request: Request) -> Path:
    return out / f'{request.label}.png'


def _describe(stage: int, field: Tensor) -> dict[str, Any]:
    plain, logarithmic = area_ratios(field), area_ratios(to_log_scale(field))
    return {
        'stage': stage,
        'ratios': [
            {'share': share, 'area': plain[share], 'area_log_scale': logarithmic[share]}
            for share in SHARES
        ],
        'held': [round(share, 6) for share in held_shares(field).tolist()],
    }


def draw_fields(title: str, stages: Sequence[int], fields: Sequence[Tensor], out: Path) -> None:
    """Draw one network's fields side by side, colours logarithmic.

    Args:
        title: Above the picture.
        stages: Numbers of the stages, from 0.
        fields: One (H, W) each.
        out: PNG file to write.
    """
    figure, axes = plt.subplots(
        1, len(fields), figsize=(2.6 * len(fields) + 0.6, 3.1), squeeze=False, layout='constrained'
    )
    for axis, stage, field in zip(axes[0], stages, fields, strict=True):
        relative = (field / field.max()).clamp(min=FLOOR).log10()
        image = axis.imshow(relative.numpy(), cmap='inferno', vmin=torch.tensor(FLOOR).log10())
        axis.set(title=f'stage {stage + 1}', xticks=[], yticks=[])
    bar = figure.colorbar(image, ax=axes[0], shrink=0.8)
    bar.set_label('log10 of the share of the maximum', fontsize='small')
    figure.suptitle(title, fontsize='small')
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)


def draw_curves(reports: Sequence[Mapping[str, Any]], size: int, out: Path) -> None:
    """Draw the share that squares hold against their side, a panel a stage, a line a network.

    Args:
        reports: As `measure_each` gives them.
        size: Side of the images.
        out: PNG file to write.
    """
    panels = len(reports[0]['stages'])
    figure, axes = plt.subplots(
        1, panels, figsize=(3.2 * panels, 3.2), squeeze=False, sharey=True, layout='constrained'
    )
    for i, axis in enumerate(axes[0]):
        for report in reports:
            held = report['stages'][i]['held']
            sides = [square_area(radius, (size, size)) ** 0.5 for radius in range(len(held))]
            axis.plot(sides, held, label=report['label'])
        axis.set(
            title=f'stage {reports[0]["stages"][i]["stage"] + 1}',
            xlabel='side of the square / image',
        )
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel('share of the receptive field in it')
    axes[0, -1].legend(fontsize='small', loc='lower right')
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)

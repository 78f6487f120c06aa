"""Report on the receptive fields of several models, with plots."""

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.common.reports import Report, Row, measure_each, progress, write_csv
from mmsmt.analysis.receptive_field.fields import (
    SHARES,
    area_ratios,
    held_shares,
    receptive_fields,
    square_area,
    to_log_scale,
)
from mmsmt.hosts.images import central_view
from mmsmt.hosts.request import Request

BATCH = 4
FLOOR = 1e-5  # of the maximum; smaller values are drawn black
MAP_SIDE = 56  # cells of the map in the JSON file


def report_fields(report: Report, stages: tuple[int, ...] = (0, 1, 2, 3)) -> list[Row]:
    """Measure the receptive fields of models and plot them.

    Writes `<label>.json` and `<label>.png` for each model, and for all `receptive_field.png` and
    `receptive_field.csv`, with a row per model, stage and share.

    Args:
        report: Models, images (short side resized, centre cropped) and folder.
        stages: `out_indices` of the backbones.

    Raises:
        UsageError, CheckpointError: If a model cannot be built or loaded.
        ValueError: If a model returns no maps.
    """
    size, out = report.size, report.out

    def measure(request: Request) -> Row:
        loaded = report.load(request, stages)
        views = [central_view(image, size) for image in report.samples.images]
        starts = range(0, len(views), BATCH)
        sums: list[Tensor] = [torch.zeros(size, size, dtype=torch.float64) for _ in stages]
        for start in progress(starts, request.label, len(starts)):
            batch = loaded.batch(views[start : start + BATCH])
            fields = receptive_fields(loaded.model, batch)
            sums = [a + b * len(batch) for a, b in zip(sums, fields, strict=True)]
        fields = [total / len(views) for total in sums]
        title = f'{request.label} ({loaded.weights})'
        save_figure(draw_fields(title, stages, fields), out / f'{request.label}.png')
        described = [_describe(i, field) for i, field in zip(stages, fields, strict=True)]
        return {'weights': loaded.weights, 'stages': described}

    settings = dict(size=size, stages=stages, seed=report.seed, images=report.samples.content)
    measured = measure_each(out, report.requests, settings, measure)
    rows = [
        {'model': found['label'], 'weights': found['weights'], 'stage': stage['stage'], **ratio}
        for found in measured
        for stage in found['stages']
        for ratio in stage['ratios']
    ]
    write_csv(out / 'receptive_field.csv', rows)
    _draw_curves(measured, size, out / 'receptive_field.png')
    return rows


def _describe(stage: int, field: Tensor) -> Row:
    plain, logarithmic = area_ratios(field), area_ratios(to_log_scale(field))
    return {
        'stage': stage,
        'ratios': [
            {'share': share, 'area': plain[share], 'area_log_scale': logarithmic[share]}
            for share in SHARES
        ],
        'held': [round(share, 6) for share in held_shares(field).tolist()],
        'map': to_digits(field),
    }


def to_digits(field: Tensor, side: int = MAP_SIDE) -> list[str]:
    """Return a field (H, W) as rows of digits, one per cell of a square grid.

    A cell with digit d is at least 10 ** ((d - 9) / 2) of the largest one; all below have 0.
    """
    cells = adaptive_avg_pool2d(field[None], side)[0]
    levels = (9 + 2 * (cells / cells.max()).log10()).clamp(min=0)
    return [''.join(map(str, row)) for row in levels.int().tolist()]


def draw_fields(title: str, stages: Sequence[int], fields: Sequence[Tensor]) -> Figure:
    """Draw the fields (H, W) of a model's stages side by side, with logarithmic colours."""
    figure, axes = subplots(1, len(fields), 2.6 * len(fields) + 0.6, 3.1)
    for axis, stage, field in zip(axes[0], stages, fields, strict=True):
        relative = (field / field.max()).clamp(min=FLOOR).log10()
        image = axis.imshow(relative.numpy(), cmap='inferno', vmin=torch.tensor(FLOOR).log10())
        axis.set(title=f'stage {stage + 1}', xticks=[], yticks=[])
    bar = figure.colorbar(image, ax=axes[0], shrink=0.8)
    bar.set_label('log10 of the share of the maximum', fontsize='small')
    figure.suptitle(title, fontsize='small')
    return figure


def _draw_curves(measured: Sequence[Row], size: int, out: Path) -> None:
    """Plot the share in squares against their side, one panel per stage, one line per model."""
    stages = [stage['stage'] for stage in measured[0]['stages']]
    figure, axes = subplots(1, len(stages), 3.2 * len(stages), 3.2, sharey=True)
    for i, axis in enumerate(axes[0]):
        for found in measured:
            held = found['stages'][i]['held']
            sides = [square_area(radius, (size, size)) ** 0.5 for radius in range(len(held))]
            axis.plot(sides, held, label=found['label'])
        axis.set(title=f'stage {stages[i] + 1}', xlabel='side of the square / image')
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel('share of the receptive field in it')
    axes[0, -1].legend(fontsize='small', loc='lower right')
    save_figure(figure, out)

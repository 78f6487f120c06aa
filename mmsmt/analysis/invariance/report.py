"""Report on the invariance of several models, with plots."""

from collections.abc import Sequence
from pathlib import Path

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.common.reports import Report, Row, measure_each, progress, write_csv
from mmsmt.analysis.invariance.metrics import measure_invariance
from mmsmt.analysis.invariance.variants import GEOMETRIC, Protocol, make_variants
from mmsmt.hosts.model import logits_of
from mmsmt.hosts.request import Request

UNITS = {
    'translation': 'pixels',
    'pre_rotation': 'degrees',
    'post_rotation': 'degrees',
    'scale': 'ratio',
    'blur': 'sigma, pixels of 224',
    'noise': 'standard deviation',
    'jpeg': 'quality',
    'inversion': 'negative',
}
METRICS = ('top1', 'consistency', 'loss')


def report_invariance(
    report: Report, protocol: Protocol, kinds: Sequence[str] = GEOMETRIC
) -> list[Row]:
    """Measure predictions of models on changed images, and plot them.

    Writes `<label>.json` for each model, and for all `invariance.csv`, with a row per model, kind
    and strength, and `invariance.png`. Accuracy is included if a model has as many classes as the
    images.

    Raises:
        UsageError, CheckpointError: If a model cannot be built or loaded.
        ValueError: If a model is not a classifier, or the changes are invalid.
    """
    variants, samples = make_variants(kinds, protocol), report.samples

    def measure(request: Request) -> Row:
        loaded = report.load(request)
        view = protocol.reference(samples.images[0])
        classes = logits_of(loaded.model, loaded.batch([view])).shape[1]
        labels = samples.labels if classes == len(samples.classes) else None
        shown = progress(variants, request.label, len(variants))
        rows = measure_invariance(
            loaded.model, samples.images, labels, shown, protocol, loaded.batch
        )
        return {'weights': loaded.weights, 'accuracy': labels is not None, 'rows': rows}

    settings = dict(protocol._asdict(), kinds=kinds, weights=report.seed, images=samples.content)
    measured = measure_each(report.out, report.requests, settings, measure)
    rows = [
        {'model': found['label'], 'weights': found['weights'], **row}
        for found in measured
        for row in found['rows']
    ]
    write_csv(report.out / 'invariance.csv', rows)
    _draw_invariance(measured, kinds, report.out / 'invariance.png')
    return rows


def _draw_invariance(measured: Sequence[Row], kinds: Sequence[str], out: Path) -> None:
    """Plot metrics against strength: one column per kind, row per metric, line per model."""
    shown = [m for m in METRICS if any(m in found['rows'][0] for found in measured)]
    size = (3 * len(kinds), 2.4 * len(shown) + 0.4)
    figure, axes = subplots(len(shown), len(kinds), *size, sharex='col', sharey='row')
    for axis_row, metric in zip(axes, shown, strict=True):
        for axis, kind in zip(axis_row, kinds, strict=True):
            for found in measured:
                rows = [row for row in found['rows'] if row['kind'] == kind and metric in row]
                strengths = [row['strength'] for row in rows]
                axis.plot(strengths, [row[metric] for row in rows], '.-', label=found['label'])
            axis.grid(alpha=0.3)
            if metric != 'loss':
                axis.set_ylim(-0.03, 1.03)
        axis_row[0].set_ylabel(metric)
    for top, bottom, kind in zip(axes[0], axes[-1], kinds, strict=True):
        top.set_title(kind.replace('_', ' '), fontsize='medium')
        bottom.set_xlabel(UNITS[kind])
    axes[0, 0].legend(fontsize='x-small')
    save_figure(figure, out)

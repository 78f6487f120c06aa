"""Invariance of several networks as numbers and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsmt.analysis.common.reports import measure_each, progress, whole_file, write_csv
from mmsmt.analysis.invariance.metrics import measure_invariance
from mmsmt.analysis.invariance.variants import KINDS, Protocol, make_variants
from mmsmt.analysis.runs.curves import plt
from mmsmt.hosts.images import Samples, subject_batch
from mmsmt.hosts.model import Subject, load_subject, logits_of
from mmsmt.hosts.request import Request

UNITS = {'translation': 'pixels', 'pre_rotation': 'degrees', 'post_rotation': 'degrees'}
METRICS = ('top1', 'consistency', 'loss')


def report_invariance(
    requests: Sequence[Request],
    samples: Samples,
    out: Path,
    kinds: Sequence[str] = tuple(KINDS),
    protocol: Protocol | None = None,
    seed: int = 0,
    device: str = 'cpu',
) -> list[dict[str, Any]]:
    """Measure what networks make of changed images, and draw it.

    Writes `<label>.json` for each network, and `invariance.csv` and `invariance.png` for all.
    There is accuracy where a network has as many classes as the images.

    Args:
        requests: The networks; a request's file is a checkpoint.
        samples: Images.
        out: Folder.
        kinds: Of change.
        protocol: Sizes, form and seed of the changes.
        seed: Of random weights.
        device: Where networks run.

    Returns:
        A row for each network, kind and strength, as in the CSV file.

    Raises:
        UsageError, CheckpointError: If a network cannot be built or loaded.
        ValueError: If a network is no classifier, or if the changes are wrong.
    """
    protocol = protocol or Protocol()
    variants = make_variants(kinds, protocol)

    def measure(request: Request) -> dict[str, Any]:
        subject = load_subject(request, seed=seed)
        subject.model.to(device)
        known = _known_labels(subject, samples, protocol)
        rows = measure_invariance(
            subject.model,
            samples.images,
            known,
            progress(variants, request.label, len(variants)),
            protocol,
            lambda views: subject_batch(subject, views),
        )
        return {'weights': subject.weights, 'accuracy': known is not None, 'rows': rows}

    settings = dict(protocol._asdict(), kinds=kinds, weights=seed, images=samples.content)
    reports = measure_each(out, requests, settings, measure)
    rows = [
        {'model': report['label'], 'weights': report['weights'], **row}
        for report in reports
        for row in report['rows']
    ]
    write_csv(out / 'invariance.csv', rows)
    draw_invariance(reports, kinds, out / 'invariance.png')
    return rows


def _known_labels(subject: Subject, samples: Samples, protocol: Protocol) -> list[int] | None:
    """The images' labels, where the network's classes can be theirs."""
    view = protocol.reference(samples.images[0])
    classes = logits_of(subject.model, subject_batch(subject, [view])).shape[1]
    return samples.labels if classes == len(samples.classes) else None


def draw_invariance(reports: Sequence[Mapping[str, Any]], kinds: Sequence[str], out: Path) -> None:
    """Draw metrics against strength: a column a kind, a row a metric, a line a network.

    Args:
        reports: As `measure_each` gives them.
        kinds: Of change.
        out: PNG file to write.
    """
    shown = [m for m in METRICS if any(m in report['rows'][0] for report in reports)]
    figure, axes = plt.subplots(
        len(shown),
        len(kinds),
        figsize=(3 * len(kinds), 2.4 * len(shown) + 0.4),
        squeeze=False,
        sharex='col',
        sharey='row',
        layout='constrained',
    )
    for axis_row, metric in zip(axes, shown, strict=True):
        for axis, kind in zip(axis_row, kinds, strict=True):
            for report in reports:
                rows = [row for row in report['rows'] if row['kind'] == kind and metric in row]
                strengths = [row['strength'] for row in rows]
                axis.plot(strengths, [row[metric] for row in rows], '.-', label=report['label'])
            axis.grid(alpha=0.3)
            if metric != 'loss':
                axis.set_ylim(-0.03, 1.03)
        axis_row[0].set_ylabel(metric)
    for axis, kind in zip(axes[0], kinds, strict=True):
        axis.set_title(kind.replace('_', ' '), fontsize='medium')
    for axis, kind in zip(axes[-1], kinds, strict=True):
        axis.set_xlabel(UNITS.get(kind, 'ratio'))
    axes[0, 0].legend(fontsize='x-small')
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)

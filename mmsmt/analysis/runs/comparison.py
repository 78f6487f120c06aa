"""Comparison of runs: curves with their spread over seeds, and a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.common.reports import markdown_table
from mmsmt.analysis.runs.curves import VAL_METRICS, read_scalars
from mmsmt.errors import ConfigError

Groups = Mapping[str, Sequence[str | Path]]


class Series(NamedTuple):
    """A logged quantity of a group of runs, at their common steps."""

    steps: np.ndarray  # iterations of training, or epochs or iterations of validation, (N,)
    values: np.ndarray  # (runs, N)

    @property
    def mean(self) -> np.ndarray:
        """Mean over runs, shape (N,)."""
        return self.values.mean(axis=0)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over runs (n - 1), 0 for a single run, shape (N,)."""
        runs = len(self.values)
        return self.values.std(axis=0, ddof=1) if runs > 1 else np.zeros(len(self.steps))


def read_series(work_dirs: Sequence[str | Path], key: str) -> Series | None:
    """Read a logged quantity of runs that differ in their seed; None if no run has it.

    Args:
        work_dirs: One or more work dirs.
        key: `loss`, or a metric as a host logs it (`coco/bbox_mAP`).

    Raises:
        FileNotFoundError: If a work dir has no log.
        ValueError: If only some runs have the quantity, or they have no steps in common.
    """
    # Only training records have a loss; validation of some hosts repeats other names.
    runs = [
        {
            record['step']: record[key]
            for record in read_scalars(work_dir)
            if key in record and ('loss' in record) == (key == 'loss')
        }
        for work_dir in work_dirs
    ]
    if not any(runs):
        return None
    common = sorted(set.intersection(*map(set, runs)))
    if not common:
        raise ConfigError(f'{", ".join(map(str, work_dirs))}: no common steps of {key!r}')
    return Series(np.array(common), np.array([[run[s] for s in common] for run in runs]))


def _read_groups(groups: Groups, keys: Sequence[str]) -> dict[str, dict[str, Series]]:
    """Read series by quantity, then label; quantities that are not logged are left out."""
    found = {key: {label: read_series(groups[label], key) for label in groups} for key in keys}
    told = {key: {k: v for k, v in lines.items() if v} for key, lines in found.items()}
    return {key: lines for key, lines in told.items() if lines}


def plot_comparison(groups: Groups, out: str | Path) -> None:
    """Plot training loss and all validation metrics, one line per group, shaded by its spread.

    Args:
        groups: Label to the work dirs of its runs (seeds).
        out: Output file.

    Raises:
        FileNotFoundError: If a work dir has no log.
        ValueError: If the runs of a group do not match.
    """
    panels = _read_groups(groups, ('loss', *VAL_METRICS))
    figure, axes = subplots(1, len(panels), 4.6 * len(panels), 3.4)
    for axis, (key, lines) in zip(axes[0], panels.items(), strict=True):
        marker, unit = ('', 'iteration') if key == 'loss' else ('o', 'epoch or iteration')
        for label, series in lines.items():
            runs, mean, spread = len(series.values), series.mean, series.spread
            name = label if runs == 1 else f'{label} ({runs} runs)'
            (line,) = axis.plot(series.steps, mean, marker=marker, label=name)
            band = (mean - spread, mean + spread)
            axis.fill_between(series.steps, *band, color=line.get_color(), alpha=0.2)
        axis.set(title=key, xlabel=unit)
        axis.grid(alpha=0.3)
        axis.legend(fontsize='small')
    save_figure(figure, out, dpi=110)


def tabulate_results(groups: Groups) -> str:
    """Compare the last validation of every group as a Markdown table.

    Each row is a group: number of runs, and mean and standard deviation of each metric.
    """
    metrics = _read_groups(groups, VAL_METRICS)
    rows = [['run', 'seeds', *metrics]]
    for label, work_dirs in groups.items():
        last = [_last(lines.get(label)) for lines in metrics.values()]
        rows.append([label, str(len(work_dirs)), *last])
    return markdown_table(rows)


def _last(series: Series | None) -> str:
    if series is None:
        return '-'
    mean, spread = series.mean[-1], series.spread[-1]
    return f'{mean:.4g}' if len(series.values) == 1 else f'{mean:.4g} ± {spread:.2g}'

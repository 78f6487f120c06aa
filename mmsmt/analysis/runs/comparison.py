"""Several runs against each other: curves with their spread over seeds, and a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmsmt.analysis.runs.curves import VAL_METRICS, plt, read_scalars

Groups = Mapping[str, Sequence[str | Path]]


class Series(NamedTuple):
    """A quantity of the runs of a group, at the steps that all of them have.

    Args:
        steps: Iterations of training, or epochs or iterations of validation, shape (N,).
        values: Shape (runs, N).
    """

    steps: np.ndarray
    values: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over runs (n - 1), 0 for a single run, shape (N,)."""
        if len(self.values) == 1:
            return np.zeros(len(self.steps))
        return self.values.std(axis=0, ddof=1)


def read_series(work_dirs: Sequence[str | Path], key: str) -> Series | None:
    """Read one logged quantity of runs that differ in their seed.

    Args:
        work_dirs: One or more.
        key: `loss`, or a metric as a host logs it (`coco/bbox_mAP`).

    Returns:
        The series; None where no run has it.

    Raises:
        FileNotFoundError: If a work dir holds no log.
        ValueError: If only some runs have the quantity, or none of its steps in common.
    """
    runs = []
    for work_dir in work_dirs:
        # Training records alone have a loss; validation of some hosts repeats other names.
        records = [
            r for r in read_scalars(work_dir) if key in r and ('loss' in r) == (key == 'loss')
        ]
        runs.append({record['step']: record[key] for record in records})
    if not any(runs):
        return None
    common = sorted(set.intersection(*(set(run) for run in runs)))
    if not common:
        raise ValueError(f'{", ".join(map(str, work_dirs))}: no step of {key!r} in common')
    return Series(np.array(common), np.array([[run[s] for s in common] for run in runs]))


def plot_comparison(groups: Groups, out: str | Path) -> None:
    """Draw training loss and every validation metric, a line a group, shaded by its spread.

    Args:
        groups: Label to the work dirs of its runs (seeds).
        out: PNG file to write.

    Raises:
        FileNotFoundError: If a work dir holds no log.
        ValueError: If the runs of a group do not match.
    """
    panels: dict[str, dict[str, Series]] = {}
    for key in ('loss', *VAL_METRICS):
        found = {label: read_series(dirs, key) for label, dirs in groups.items()}
        panels[key] = {label: series for label, series in found.items() if series is not None}
    panels = {key: lines for key, lines in panels.items() if lines}
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.4), squeeze=False)
    for axis, (key, lines) in zip(axes[0], panels.items(), strict=True):
        for label, series in lines.items():
            mean, runs = series.values.mean(axis=0), len(series.values)
            marker = '' if key == 'loss' else 'o'
            name = label if runs == 1 else f'{label} ({runs} runs)'
            (line,) = axis.plot(series.steps, mean, marker=marker, label=name)
            axis.fill_between(
                series.steps,
                mean - series.spread,
                mean + series.spread,
                color=line.get_color(),
                alpha=0.2,
            )
        axis.set(title=key, xlabel='iteration' if key == 'loss' else 'epoch or iteration')
        axis.grid(alpha=0.3)
        axis.legend(fontsize='small')
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def tabulate_results(groups: Groups) -> str:
    """Compare the last validation of every group as a Markdown table.

    Args:
        groups: Label to the work dirs of its runs (seeds).

    Returns:
        A row a group: number of runs, and mean and standard deviation over them of each
        metric.
    """
    cells = {
        (label, key): read_series(dirs, key)
        for label, dirs in groups.items()
        for key in VAL_METRICS
    }
    metrics = [key for key in VAL_METRICS if any(cells[label, key] for label in groups)]
    rows = [['run', 'seeds', *metrics], ['---'] * (2 + len(metrics))]
    for label, dirs in groups.items():
        rows.append([label, str(len(dirs)), *(_last(cells[label, key]) for key in metrics)])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _last(series: Series | None) -> str:
    if series is None:
        return '-'
    last = series.values[:, -1].mean()
    return f'{last:.4g}' if len(series.values) == 1 else f'{last:.4g} ± {series.spread[-1]:.2g}'

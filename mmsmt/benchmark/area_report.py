"""Peak memory and time against the area of the image: measuring, table and plot."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmsmt.analysis.common.reports import whole_file
from mmsmt.analysis.runs.curves import plt
from mmsmt.benchmark.area import (
    FORWARD,
    STEPS,
    Series,
    in_fresh_process,
    largest_difference,
    peak_memory,
    seconds,
    whole_bytes,
)
from mmsmt.errors import UsageError

Row = dict[str, Any]
GIB = 2**30
TOLERANCE = 1e-9  # of outputs in float64, relative; only the order of sums differs


def measure_area(
    series: Sequence[Series], sides: Sequence[int], limit: int, rounds: int, out: Path
) -> list[Row]:
    """Measure every series at every size; memory first, each in a process of its own.

    Args:
        series: What to measure. Those with whole matrices are compared with the same network
            without first.
        sides: Of one square image.
        limit: Bytes that a process may have. Where whole matrices alone are beyond it, nothing is
            run and their size stands for the memory.
        rounds: Of timing, in turn between the series; 0 for none.
        out: Folder; `area.json` is written after every measurement.

    Returns:
        A row each: `model`, `side`, `step`, `memory` in bytes, `ran`, and `seconds` (median, first
        and third quartile) where it was timed.

    Raises:
        UsageError: If a network cannot be built.
        AssertionError: If whole matrices give other outputs.
    """
    least: dict[str, list[dict[str, int]]] = {}
    for whole in (s for s in series if s.whole):
        difference = in_fresh_process(largest_difference, whole._replace(whole=False), whole)
        assert difference < TOLERANCE, f'{whole.label}: outputs differ by {difference}'
        least[whole.label] = in_fresh_process(whole_bytes, whole, sides)
    rows: list[Row] = []
    for i, side in enumerate(sides):
        for step in STEPS:
            for s in series:
                bytes_at_least = least[s.label][i][step] if s.whole else 0
                rows.append(_memory(s, side, step, limit, bytes_at_least))
                _write(rows, out)
    for side in sides if rounds else ():
        for step in STEPS:
            here = {r['model']: r for r in rows if (r['side'], r['step']) == (side, step)}
            running = [s for s in series if here[s.label]['ran']]
            measured = in_fresh_process(seconds, running, side, step, rounds) if running else {}
            for label, timing in (measured or {}).items():
                here[label]['seconds'] = timing
            _write(rows, out)
    return rows


def _memory(series: Series, side: int, step: str, limit: int, bytes_at_least: int) -> Row:
    row: Row = {'model': series.label, 'side': side, 'step': step}
    found = None
    if bytes_at_least <= limit:
        found = in_fresh_process(peak_memory, series, side, step, limit)
    return {**row, 'memory': bytes_at_least if found is None else found, 'ran': found is not None}


def _write(rows: Sequence[Row], out: Path) -> None:
    with whole_file(out / 'area.json') as partial:
        partial.write_text(json.dumps(rows, indent=1) + '\n')


def tabulate_area(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: a line a size, memory in GiB and seconds of each model."""
    models = list(dict.fromkeys(row['model'] for row in rows))
    columns = [(step, model) for step in STEPS for model in models]
    cells = {(row['side'], row['step'], row['model']): _cell(row) for row in rows}
    lines = [
        '| image | ' + ' | '.join(f'{step}, {model}' for step, model in columns) + ' |',
        '|---' * (len(columns) + 1) + '|',
    ]
    for side in dict.fromkeys(row['side'] for row in rows):
        values = [cells.get((side, *column), '') for column in columns]
        lines.append(f'| {side} x {side} | ' + ' | '.join(values) + ' |')
    return '\n'.join(lines)


def _cell(row: Row) -> str:
    if not row['ran']:
        return f'not run: over {row["memory"] / GIB:.1f} GiB' if row['memory'] else 'not run'
    memory = f'{row["memory"] / GIB:.2f} GiB'
    return memory + (f', {row["seconds"][0]:.2f} s' if 'seconds' in row else '')


def plot_area(rows: Sequence[Row], out: Path) -> None:
    """Draw memory, and time where it was measured, against the area; hollow where not run.

    Args:
        rows: Of `measure_area`.
        out: PNG file to write.
    """
    models = list(dict.fromkeys(row['model'] for row in rows))
    timed = any('seconds' in row for row in rows)
    figure, axes = plt.subplots(1, 1 + timed, figsize=(4.6 * (1 + timed), 3.6), squeeze=False)
    for axis, quantity in zip(axes[0], ('memory', 'seconds')):
        for color, model in enumerate(models):
            for step in STEPS:
                chosen = [r for r in rows if (r['model'], r['step']) == (model, step)]
                points = [(r['side'] ** 2 / 1e6, _value(r, quantity), r['ran']) for r in chosen]
                points = [p for p in points if p[1] is not None]
                x, y = [p[0] for p in points], [p[1] for p in points]
                style = '--' if step == FORWARD else '-'
                axis.plot(x, y, style, color=f'C{color}', label=f'{model}, {step}')
                for area, value, ran in points:
                    face = f'C{color}' if ran else 'white'
                    axis.plot(area, value, 'o', color=f'C{color}', mfc=face, ms=5)
        title = 'peak memory, GiB (hollow: computed)' if quantity == 'memory' else 'seconds'
        axis.set(xlabel='megapixels', title=title, xscale='log', yscale='log')
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize='x-small')
    figure.tight_layout()
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=80, format='png')
    plt.close(figure)


def _value(row: Row, quantity: str) -> float | None:
    if quantity == 'memory':
        return row['memory'] / GIB if row['memory'] else None
    return row['seconds'][0] if 'seconds' in row else None


def report_area(
    series: Sequence[Series], sides: Sequence[int], limit: int, rounds: int, out: Path
) -> str:
    """Measure, and write `area.json`, `area.md` and `area.png` into a folder.

    Returns:
        The table.

    Raises:
        UsageError: If a size or the number of rounds is wrong, or as `measure_area`.
    """
    if not sides or min(sides) < 1:
        raise UsageError(f'--sizes must be positive, got {list(sides)}')
    if rounds < 0 or rounds == 1:
        raise UsageError(f'--rounds must be 0 or at least 2, got {rounds}')
    out.mkdir(parents=True, exist_ok=True)
    rows = measure_area(series, sides, limit, rounds, out)
    table = tabulate_area(rows)
    with whole_file(out / 'area.md') as partial:
        partial.write_text(table + '\n')
    plot_area(rows, out / 'area.png')
    return table

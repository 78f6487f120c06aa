"""Plots of measured groups: accuracy against speed, time and memory against image area."""

from collections.abc import Sequence
from math import log
from operator import itemgetter
from pathlib import Path

from matplotlib.ticker import LogLocator

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.common.reports import Row
from mmsmt.benchmark.jobs import FORWARD, GRAPH, GRAPH_DEPLOY, RECOMPUTE
from mmsmt.benchmark.runtimes import RUNTIMES
from mmsmt.benchmark.table import GIB, faster_layouts, title_of

# Marker of a way, and suffix of a network's label; panels say whether their ways are compiled.
MARKERS = {
    'deploy': ('*', ', deploy'),
    RECOMPUTE: ('v', ', recomputing'),
    GRAPH: ('^', ', CUDA graph'),
    GRAPH_DEPLOY: ('P', ', deploy, CUDA graph'),
    **{way: (runtime.marker, f', {runtime.title}') for way, runtime in RUNTIMES.items()},
}


def plot_accuracy(groups: Sequence[Row], out: Path) -> bool:
    """Plot accuracy against images per second, one panel per group; stars are deploy forms.

    Args:
        groups: Results of `measure_groups`.
        out: Output PNG file.

    Returns:
        Whether there was anything to plot: a network with a published accuracy that ran.
    """
    panels = [(group, _published(group)) for group in groups]
    panels = [(group, points) for group, points in panels if points]
    if not panels:
        return False
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    figure, axes = subplots(lines, columns, 6.4 * columns, 4.4 * lines)
    axes.flat[-1].set_visible(len(panels) == axes.size)
    for axis, (group, points) in zip(axes.flat, panels):
        for i, row in enumerate(points):
            place = row['images_per_second'], row['top1']
            marker, form = MARKERS.get(row['way'].removeprefix('compiled-'), ('o', ''))
            axis.plot(*place, marker, color=_color(row['model']), ms=7)
            axis.annotate(
                row['model'] + form,
                place,
                (0, 7 if _labelled_above(points, i) else -13),
                textcoords='offset points',
                fontsize='x-small',
                ha='center',
            )
        axis.set(title=title_of(group), xlabel='images/s', xscale='log')
        axis.set_ylabel('published ImageNet-1K top-1, %')
        axis.margins(0.15)
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axis.xaxis.set_major_formatter('{x:g}')
        axis.xaxis.set_minor_formatter('')
        axis.grid(alpha=0.3, which='both')
    save_figure(figure, out)
    return True


def plot_area(groups: Sequence[Row], out: Path) -> bool:
    """Plot seconds, and memory if measured, against the megapixels of an image.

    Args:
        groups: Results of `measure_groups`.
        out: Output PNG file.

    Returns:
        Whether there was anything to plot: several areas at one batch size.
    """
    shapes = [group['shape'] for group in groups]
    areas = [height * width / 1e6 for _, height, width in shapes]
    if len({batch for batch, *_ in shapes}) != 1 or len(set(areas)) < 2:
        return False
    curves: dict[tuple[str, str], list[tuple[float, Row]]] = {}
    for area, group in sorted(zip(areas, groups), key=itemgetter(0)):
        for row in faster_layouts(group['rows']):
            key = f'{row["model"]}, {row["way"]}', group['step']
            curves.setdefault(key, []).append((area, row))
    colors = {name: f'C{i}' for i, name in enumerate(dict.fromkeys(name for name, _ in curves))}
    measured = any(row.get('memory') for curve in curves.values() for _, row in curve)
    panels = ['seconds', 'memory, GiB'][: 1 + measured]
    figure, axes = subplots(1, len(panels), 4.6 * len(panels), 3.6)
    for axis, title in zip(axes.flat, panels):
        for (name, step), curve in curves.items():
            points = [
                (area, row['seconds'][0] if title == 'seconds' else row['memory'] / GIB)
                for area, row in curve
                if row.get(title.partition(',')[0])
            ]
            if points:
                style = '--o' if step == FORWARD else '-o'
                axis.plot(*zip(*points), style, color=colors[name], label=f'{name}, {step}', ms=4)
        axis.set(xlabel='megapixels', title=title, xscale='log', yscale='log')
        axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize='x-small')
    save_figure(figure, out)
    return True


def _published(group: Row) -> list[Row]:
    rows = faster_layouts(group['rows'])
    rows = [row for row in rows if row['top1'] is not None and 'seconds' in row]
    return sorted(rows, key=lambda row: row['images_per_second'])


def _labelled_above(points: list[Row], i: int) -> bool:
    """Return whether a label goes above its point, to avoid overlap with the next in speed."""
    speed, top1 = points[i]['images_per_second'], points[i]['top1']
    others = points[:i] + points[i + 1 :]
    if not others:
        return True
    near = min(others, key=lambda row: abs(log(row['images_per_second'] / speed)))
    return i % 2 == 0 if near['top1'] == top1 else top1 > near['top1']


def _color(model: str) -> str:
    if model.startswith('plain'):
        return 'C3'
    return 'C0' if model.startswith(('SMT', 'SG-Former', 'unified')) else 'C7'

"""Published accuracy against measured speed."""

from collections.abc import Sequence
from math import log
from pathlib import Path

from matplotlib.ticker import LogLocator

from mmsmt.analysis.common.reports import whole_file
from mmsmt.analysis.runs.curves import plt
from mmsmt.benchmark.plan import Row
from mmsmt.benchmark.table import faster_layouts

MARKERS = {'eager': 'o', 'compiled': 'o', 'deploy': '*', 'compiled-deploy': '*'}


def plot_accuracy(groups: Sequence[Row], out: Path) -> bool:
    """Draw a panel a group: images per second across, accuracy up; a star is a deploy form.

    Args:
        groups: Of `run_plan`.
        out: PNG file to write.

    Returns:
        Whether there was anything to draw: a network with a published accuracy that ran.
    """
    panels = [(group, _points(group)) for group in groups]
    panels = [(group, points) for group, points in panels if points]
    if not panels:
        return False
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    size = (6.4 * columns, 4.4 * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (group, points) in zip(axes.flat, panels):
        for i, row in enumerate(points):
            place = row['images_per_second'], row['top1']
            color = 'C3' if row['model'].startswith('plain') else _color(row['model'])
            axis.plot(*place, MARKERS[row['way']], color=color, ms=7)
            axis.annotate(
                row['model'] + (', deploy' if 'deploy' in row['way'] else ''),
                place,
                (0, 7 if _labelled_above(points, i) else -13),
                textcoords='offset points',
                fontsize='x-small',
                ha='center',
            )
        family = 'compiled' if group['compiled'] else 'eager'
        axis.set(
            title=f'{" x ".join(map(str, group["shape"]))}, {group["step"]}, {family}',
            xlabel='images/s',
            ylabel='published ImageNet-1K top-1, %',
            xscale='log',
        )
        axis.margins(0.15)
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axis.xaxis.set_major_formatter('{x:g}')
        axis.xaxis.set_minor_formatter('')
        axis.grid(alpha=0.3, which='both')
    figure.tight_layout()
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100, format='png')
    plt.close(figure)
    return True


def _points(group: Row) -> list[Row]:
    rows = faster_layouts(group['rows'])
    rows = [row for row in rows if row['top1'] is not None and 'seconds' in row]
    return sorted(rows, key=lambda row: row['images_per_second'])


def _labelled_above(points: list[Row], i: int) -> bool:
    """Whether a point is the upper of itself and the next in speed; of equals every other one."""
    speed, top1 = points[i]['images_per_second'], points[i]['top1']
    others = points[:i] + points[i + 1 :]
    if not others:
        return True
    near = min(others, key=lambda row: abs(log(row['images_per_second'] / speed)))
    return i % 2 == 0 if near['top1'] == top1 else top1 > near['top1']


def _color(model: str) -> str:
    return 'C0' if model.startswith(('SMT', 'SG-Former', 'unified')) else 'C7'

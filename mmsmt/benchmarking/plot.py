"""Published accuracy against measured speed."""

from collections.abc import Sequence
from pathlib import Path

from mmsmt.analysis.curves import plt
from mmsmt.analysis.reports import whole_file
from mmsmt.benchmarking.running import Row
from mmsmt.benchmarking.table import faster_layouts

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
        for row in points:
            x, y = row['images_per_second'], row['top1']
            color = 'C3' if row['model'].startswith('plain') else _color(row['model'])
            axis.plot(x, y, MARKERS[row['way']], color=color, ms=7)
            axis.annotate(
                row['model'], (x, y), (3, 3), textcoords='offset points', fontsize='x-small'
            )
        family = 'compiled' if group['compiled'] else 'eager'
        axis.set(
            title=f'{" x ".join(map(str, group["shape"]))}, {group["step"]}, {family}',
            xlabel='images/s',
            ylabel='published ImageNet-1K top-1, %',
            xscale='log',
        )
        axis.grid(alpha=0.3, which='both')
    figure.tight_layout()
    with whole_file(out) as partial:
        figure.savefig(partial, dpi=100, format='png')
    plt.close(figure)
    return True


def _points(group: Row) -> list[Row]:
    rows = faster_layouts(group['rows'])
    return [row for row in rows if row['top1'] is not None and 'seconds' in row]


def _color(model: str) -> str:
    return 'C0' if model.startswith(('SMT', 'SG-Former', 'unified')) else 'C7'

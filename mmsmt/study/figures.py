"""Pictures of a study: scores, costs, receptive fields, robustness."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps

from mmsmt.analysis.common.figures import save_figure, subplots
from mmsmt.analysis.invariance.report import UNITS
from mmsmt.study.members import Member, spread
from mmsmt.study.runs import KINDS


def _style(place: int) -> dict[str, Any]:
    """Return colour and line of a network; the lines change when the colours are used up."""
    colour = colormaps['tab10'](place % 10)
    return dict(color=colour, linestyle=('-', '--', ':')[place // 10 % 3])


def draw_scores(members: Sequence[Member], out: Path) -> None:
    """Plot the mean accuracy of every network, and every seed as a point."""
    figure, ((axis,),) = subplots(1, 1, 6, 0.3 * len(members) + 1)
    for place, member in enumerate(reversed(members)):
        axis.scatter(member.scores, [place] * len(member.scores), s=14, color='grey')
        axis.plot(member.mean, place, 'o', color='tab:blue')
        axis.annotate(
            spread(member.scores),
            (max(member.scores), place),
            (8, 0),
            textcoords='offset points',
            va='center',
            fontsize='small',
        )
    axis.set_yticks(range(len(members)), [member.label for member in reversed(members)])
    axis.set_xlabel('top-1 (%): mean, and every seed')
    left, right = axis.get_xlim()
    axis.set_xlim(right=right + 0.3 * (right - left))  # room for the numbers
    axis.grid(axis='x', alpha=0.3)
    save_figure(figure, out)


def draw_costs(members: Sequence[Member], out: Path) -> None:
    """Plot accuracy against measured time and against multiply-accumulates."""
    figure, ((by_time, by_macs),) = subplots(1, 2, 10, 4.5, sharey=True)
    for place, member in enumerate(members):
        style = dict(color=_style(place)['color'], marker='os^'[place // 10 % 3], linestyle='')
        by_time.plot(member.forward, member.mean, label=member.label, **style)
        by_macs.plot(member.macs / 1e6, member.mean, **style)
    by_time.set(xlabel='inference (ms per image)', ylabel='top-1 (%)')
    by_macs.set(xlabel='multiply-accumulates (M)')
    for axis in (by_time, by_macs):
        axis.grid(alpha=0.3)
    figure.legend(fontsize='small', loc='outside right center')
    save_figure(figure, out)


def draw_fields(members: Sequence[Member], out: Path) -> None:
    """Draw the receptive field of stage 3 of every network, in steps of half a decade."""
    maps = {member.label: member.field['map'] for member in members if member.field is not None}
    columns = 6
    rows = max(1, -(-len(maps) // columns))
    figure, axes = subplots(rows, columns, 1.7 * columns + 1, 1.9 * rows)
    for axis in axes.flat:
        axis.axis('off')
    colours = colormaps['inferno'].resampled(10)
    for axis, (label, digits) in zip(axes.flat[: len(maps)], maps.items(), strict=True):
        decades = [[(int(digit) - 9) / 2 for digit in row] for row in digits]
        image = axis.imshow(decades, cmap=colours, vmin=-4.5, vmax=0.5)
        axis.set_title(label, fontsize='small')
    if maps:
        bar = figure.colorbar(image, ax=axes, shrink=0.8)
        bar.set_label('log10 of the share of the maximum', fontsize='small')
    save_figure(figure, out)


def draw_robustness(members: Sequence[Member], out: Path) -> None:
    """Plot accuracy against the strength of every change, one line per network."""
    columns = 3
    rows = -(-len(KINDS) // columns)
    figure, axes = subplots(rows, columns, 11, 3 * rows, sharey=True)
    for axis, kind in zip(axes.flat[: len(KINDS)], KINDS, strict=True):
        for place, member in enumerate(members):
            curve = member.curve(kind)
            axis.plot(list(curve), list(curve.values()), label=member.label, **_style(place))
        axis.set_title(kind.replace('_', ' '), fontsize='medium')
        axis.set_xlabel(UNITS[kind])
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel('top-1 (%)')
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize='small', loc='outside right center')
    save_figure(figure, out)

"""Markdown tables of measured groups."""

from collections.abc import Sequence
from typing import Any

from mmsmt.analysis.common.reports import Row, markdown_table
from mmsmt.errors import UsageError

GIB = 2**30
HEADER = (
    *('model', 'way', 'top-1, %', 'parameters, M', 'MACs, G', 'ms (quartiles)', 'images/s'),
    *('speed / reference', 'of the product limit', 'memory, GiB', 'memory / reference'),
)


def faster_layouts(rows: Sequence[Row]) -> list[Row]:
    """Return the row with the lowest median among rows that differ only in layout."""
    fastest: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=_median, reverse=True):
        fastest[row['model'], row['way']] = row
    return sorted(fastest.values(), key=_median)


def choose_reference(names: Sequence[str], wanted: str | None) -> str:
    """Return the baseline: the requested model, the first plain one, or the first.

    Raises:
        UsageError: If the requested one was not measured.
    """
    if wanted is None:
        return next((name for name in names if name.startswith('plain')), names[0])
    if wanted not in names:
        raise UsageError(f'--reference {wanted!r} was not measured; measured: {", ".join(names)}')
    return wanted


def tabulate(groups: Sequence[Row], reference: str) -> str:
    """Format one section per group: its conditions, and one row per network and way.

    Args:
        groups: Results of `measure_groups`.
        reference: Name of the network to compare speed and memory with.
    """
    return '\n\n'.join(_section(group, reference) for group in groups) + '\n'


def title_of(group: Row) -> str:
    """Return images, step and family of a group, such as `8 x 224 x 224, forward, eager`."""
    family = 'compiled' if group['compiled'] else 'eager'
    return f'{" x ".join(map(str, group["shape"]))}, {group["step"]}, {family}'


def _section(group: Row, reference: str) -> str:
    rows = faster_layouts(group['rows'])
    # In its original form, not folded; None if it could not run.
    originals = [row for row in rows if row['way'] in ('eager', 'compiled') and 'seconds' in row]
    base = next((row for row in originals if row['model'] == reference), Row())
    lines = [
        *(f'### {title_of(group)}', '', _describe(group), '', f'Reference: {reference}.', ''),
        markdown_table([HEADER, *(_cells(row, base) for row in rows)]),
    ]
    return '\n'.join(lines)


def _median(row: Row) -> float:
    return row['seconds'][0] if 'seconds' in row else float('inf')


def _describe(group: Row) -> str:
    """Describe the conditions of the results in a paragraph."""
    facts, limits = group['facts'], group['limits']
    named = ('torch', 'timm', 'mmpretrain', 'onnxruntime')
    versions = ', '.join(f'{name} {facts[name]}' for name in named if facts.get(name))
    compiled = f', compile mode {facts["compile_mode"]}' if group['compiled'] else ''
    commit = f', commit {facts["commit"]}' if facts['commit'] else ''  # wheels have none
    low, high = (f'{load:.1f}' for load in group['load'])
    return (
        f'{facts.get("gpu") or facts["cpu"]}, {facts["cores"]} cores, {facts["threads"]} threads, '
        f'{facts["dtype"]}{compiled}; {versions}{commit}; '
        f'{group["warmup"]} + {group["rounds"]} rounds, load {low} to {high}. In the same rounds: '
        f'matrix products {limits["flops"] / 1e12:.3f} TFLOP/s, '
        f'copies {limits["bandwidth"] / 1e9:.1f} GB/s.'
    )


def _cells(row: Row, base: Row) -> list[str]:
    way = row['way'] if row['layout'] == 'contiguous' else f'{row["way"]}, {row["layout"]}'
    published = '' if row['top1'] is None else f'[{row["top1"]}]({row["source"]})'
    start = [row['model'], way, published, f'{row["params"] / 1e6:.1f}', f'{row["macs"] / 1e9:.2f}']
    if 'failed' in row:
        return [*start, f'failed: {row["failed"]}'.replace('|', '/'), *[''] * 5]
    median, low, high = (f'{1e3 * seconds:.4g}' for seconds in row['seconds'])
    memory = row.get('memory')
    return [
        *start,
        f'{median} ({low} to {high})',
        f'{row["images_per_second"]:.3g}',
        _ratio(base and base['seconds'][0], row['seconds'][0]),
        f'{row["share"]:.0%}',
        '' if memory is None else f'{memory / GIB:.3f}',
        _ratio(memory, base.get('memory')),
    ]


def _ratio(value: Any, of: Any) -> str:
    return f'{value / of:.2f}' if value and of else ''

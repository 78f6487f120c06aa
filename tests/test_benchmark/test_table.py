"""The table and the plot of made-up rows."""

from pathlib import Path

import pytest

from mmsmt.benchmark.plots import plot_accuracy
from mmsmt.benchmark.table import GIB, choose_reference, faster_layouts, tabulate
from mmsmt.errors import UsageError


def row(model: str, way: str, median: float, **more: object) -> dict:
    made = dict(
        model=model,
        way=way,
        layout='contiguous',
        top1=82.2,
        source='https://x',
        params=11_500_000,
        macs=2_400_000_000,
        seconds=[median, 0.9 * median, 1.1 * median],
        images_per_second=8 / median,
        share=0.1 / median,
        memory=round(GIB * median),
    )
    return made | more


GROUP = dict(
    shape=[8, 224, 224],
    step='forward',
    compiled=False,
    rounds=5,
    warmup=1,
    limits=dict(flops=1.234e11, bandwidth=2e10),
    load=[0.1, 2.04],
    facts=dict(
        cpu='A processor',
        cores=2,
        threads=2,
        dtype='float32',
        compile_mode='default',
        torch='2.11',
        timm=None,
        mmpretrain='1.2.0',
        commit='abc',
    ),
    rows=[
        row('plain', 'eager', 0.5),
        row('ours', 'eager', 0.25),
        row('ours', 'deploy', 0.2, memory=None),
        row('peer', 'eager', 0.4, top1=None),
        row('peer', 'eager', 0.3, top1=None, layout='channels-last'),
        dict(row('bad', 'eager', 1.0), failed='RuntimeError: a | b'),
    ],
)
del GROUP['rows'][-1]['seconds']  # type: ignore[index, attr-defined]


def test_table() -> None:
    lines = tabulate([GROUP], 'plain').splitlines()
    assert lines[:5] == [
        '### 8 x 224 x 224, forward, eager',
        '',
        'A processor, 2 cores, 2 threads, float32; torch 2.11, mmpretrain 1.2.0, commit abc; '
        '1 + 5 rounds, load 0.1 to 2.0. In the same rounds: matrix products 0.123 TFLOP/s, copies '
        '20.0 GB/s.',
        '',
        'Reference: plain.',
    ]
    found = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[6:]]
    top1, size = '[82.2](https://x)', ['11.5', '2.40']
    assert found[0][7:9] == ['speed / reference', 'of the product limit']
    assert found[2:] == [
        ['ours', 'deploy', top1, *size, '200 (180 to 220)', '40', '2.50', '50%', '', ''],
        ['ours', 'eager', top1, *size, '250 (225 to 275)', '32', '2.00', '40%', '0.250', '0.50'],
        ['peer', 'eager, channels-last', '', *size, '300 (270 to 330)', '26.7', '1.67', '33%']
        + ['0.300', '0.60'],
        ['plain', 'eager', top1, *size, '500 (450 to 550)', '16', '1.00', '20%', '0.500', '1.00'],
        ['bad', 'eager', top1, *size, 'failed: RuntimeError: a / b', *[''] * 5],
    ]


def test_a_reference_that_failed_leaves_ratios_empty() -> None:
    cells = tabulate([GROUP], 'bad').splitlines()[8].split('|')
    assert cells[8].strip() == cells[11].strip() == ''


def test_compiled_and_gpu_are_said() -> None:
    facts = {**GROUP['facts'], 'gpu': 'A GPU', 'dtype': 'tf32'}  # type: ignore[dict-item]
    said = tabulate([{**GROUP, 'facts': facts, 'compiled': True}], 'plain')
    assert 'A GPU, 2 cores, 2 threads, tf32, compile mode default;' in said


def test_reference() -> None:
    assert choose_reference(['a', 'plain b', 'plain a'], None) == 'plain b'
    assert choose_reference(['a', 'b'], None) == 'a'
    assert choose_reference(['a', 'b'], 'b') == 'b'
    with pytest.raises(UsageError, match="--reference 'c' was not measured; measured: a, b"):
        choose_reference(['a', 'b'], 'c')


def test_a_layout_that_failed_is_not_the_faster() -> None:
    good, bad = row('x', 'eager', 1.0), row('x', 'eager', 0.5, failed='no', layout='channels-last')
    del bad['seconds']
    assert faster_layouts([bad, good]) == faster_layouts([good, bad]) == [good]


def test_plot(tmp_path: Path) -> None:
    assert plot_accuracy([GROUP, GROUP, GROUP], tmp_path / 'x.png')
    assert (tmp_path / 'x.png').stat().st_size > 5000
    nothing = {**GROUP, 'rows': [row('x', 'eager', 1.0, top1=None)]}
    assert not plot_accuracy([nothing], tmp_path / 'y.png')
    assert [file.name for file in tmp_path.iterdir()] == ['x.png']

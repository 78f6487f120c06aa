"""The page of a study, from the records of its runs."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from PIL import Image

from mmsmt.study import page
from mmsmt.study.networks import NETWORKS
from mmsmt.study.page import write_page
from mmsmt.study.protocol import Protocol, read_base
from mmsmt.study.runs import KINDS, Study
from mmsmt.study.speed import measure_speed
from mmsmt.study.statistics import estimate_noise

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/digits'
SCORES = {'sra': [61.0, 62.0], 'halo': [70.0, 70.5], 'dwconv': [69.8, 70.6], 'smt': [72.0, 73.0]}


def record(label: str, seed: int, top1: float) -> dict[str, Any]:
    rows = [
        {'kind': kind, 'strength': strength, 'top1': top1 / 100 - 0.1 * strength}
        for kind in KINDS
        for strength in (0.0, 2.0)
    ]
    field = {
        'ratios': [{'share': 0.5, 'area': 0.1}, {'share': 0.99, 'area': 0.75}],
        'map': ['00', '59'],
    }
    return {
        'network': label,
        'seed': seed,
        'backbone': NETWORKS[label].backbone,
        'top1': top1,
        'invariance': rows,
        'transfers': {'cells': {'seconds': 1, 'coco/bbox_mAP': top1 / 200}},
        **({'field': field} if seed == 0 else {}),
    }


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study whose speed was measured before."""
    base, protocol = read_base(CONFIGS / 'cls_smt_pico.py'), Protocol(3, 2e-3)
    speed = dict.fromkeys(SCORES, {'forward': 1.5, 'step': 4.25})
    (tmp_path / 'speed.json').write_text(json.dumps(speed))
    monkeypatch.setattr(page, 'measure_speed', lambda *_: pytest.fail('speed was there'))
    return Study(tmp_path, base, protocol, {'cells': Config()}, {})


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return [record(label, seed, SCORES[label][seed]) for seed in (0, 1) for label in SCORES]


def rows_of(text: str, title: str) -> list[list[str]]:
    """The first table after a title."""
    lines = text.partition(title)[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('|'))
    rows = []
    for line in lines[start:]:
        if not line.startswith('|'):
            break
        rows.append([cell.strip() for cell in line.strip('|').split('|')])
    return rows


def test_tables(study: Study, records: list[dict[str, Any]]) -> None:
    text = write_page(study, records, 9).read_text()
    assert '8 of 9 runs: 3 epochs of AdamW, learning rate 0.002' in text
    mixers = rows_of(text, '## Mixers')
    assert [row[0] for row in mixers[2:]] == ['halo', 'dwconv', 'sra']
    assert mixers[4][1:] == ['61.50 ± 0.71', '1.40', '22.5', '1.50', '4.25']
    assert [row[0] for row in rows_of(text, '## Complete')[2:]] == ['smt']
    assert [row[0] for row in rows_of(text, '## Stackings')[2:]] == ['smt']
    # 72.5 % without a change, 20 points less with it: 62.5 % on average.
    assert rows_of(text, '## Robustness')[2] == ['smt', *['62.5'] * 6]
    further = rows_of(text, '## Receptive fields')
    assert further[0][-1] == 'cells: box AP (%)'
    assert further[2] == ['smt', '10.0%', '75.0%', '36.25 ± 0.35']
    assert 'Order here: halo, dwconv, sra' in text
    assert 'halo, dwconv, sra. Rank correlation 1.00' in text


def test_neighbours_that_differ_by_less_than_the_seeds(
    study: Study, records: list[dict[str, Any]]
) -> None:
    text = write_page(study, records, 8).read_text()
    # `smt` is not in the table of the mixers, but tells of the noise.
    noise = estimate_noise(SCORES)
    assert f'deviation of {noise.deviation:.2f}, estimated from all networks (3 degrees' in text
    compared = rows_of(text, 'Neighbours in the ranking')
    assert compared[2][:3] == ['halo', 'dwconv', '0.05'] and compared[2][4] == ''
    assert compared[3][:3] == ['dwconv', 'sra', '8.70'] and compared[3][4] == 'yes'


def test_the_same_page_whatever_the_order(study: Study, records: list[dict[str, Any]]) -> None:
    first = write_page(study, records, 8).read_text()
    assert write_page(study, records[::-1], 8).read_text() == first


def test_numbers_and_pictures_beside_the_page(study: Study, records: list[dict[str, Any]]) -> None:
    write_page(study, records, 8)
    with (study.out / 'study.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['network'] for row in rows] == ['smt', 'halo', 'dwconv', 'sra']
    assert float(rows[0]['top1']) == 72.5 and float(rows[0]['top1_seed1']) == 73
    assert float(rows[0]['cells']) == 36.25
    content = json.loads((study.out / 'study.json').read_text())
    assert content['protocol']['epochs'] == 3 and len(content['networks']) == 4
    blue, black = (31, 119, 180), (0, 0, 4)  # of the first line or point, and where digits are 0
    for name in ('scores', 'costs', 'fields', 'robustness'):
        with Image.open(study.out / f'{name}.png') as picture:
            colours = {colour for _, colour in picture.convert('RGB').getcolors(1 << 20)}
        assert (black if name == 'fields' else blue) in colours


def test_one_seed_is_not_compared(study: Study, records: list[dict[str, Any]]) -> None:
    text = write_page(study, records[:4], 8).read_text()
    assert '| halo | 70.00 |' in text and 'Neighbours' not in text and '±' in text.split('|')[0]


def test_speed_of_classifiers() -> None:
    configs = {name: str(CONFIGS / f'cls_{name}_pico.py') for name in ('smt', 'sg_former')}
    speed = measure_speed(configs, size=32, rounds=2)
    assert set(speed) == set(configs)
    assert all(0 < s['forward'] < s['step'] < 1000 for s in speed.values())

"""The page of a study, from what its steps leave behind."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mmsmt.study.page import Member, measure_speed, write_report

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/digits'
SMT = str(CONFIGS / 'cls_smt_pico.py')
SG_FORMER = str(CONFIGS / 'cls_sg_former_pico.py')


def field(half: float, most: float) -> dict:
    ratios = [{'share': 0.5, 'area': half}, {'share': 0.99, 'area': most}]
    return {'stages': [{'ratios': []}, {'ratios': []}, {'ratios': ratios}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the steps of a study of two networks wrote."""
    rows = [
        {'kind': 'post_rotation', 'consistency': share, 'strength': i}
        for i, share in enumerate((1.0, 0.5, 0.3))
    ]
    for label in ('sra', 'halo', 'dwconv'):
        for name, content in (
            ('receptive_field', field(0.1, 0.75)),
            ('invariance', {'rows': rows}),
        ):
            path = tmp_path / name / f'{label}.json'
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))
    speed = dict.fromkeys(('sra', 'halo', 'dwconv'), {'forward': 1.5, 'step': 4.25})
    (tmp_path / 'speed.json').write_text(json.dumps(speed))
    return tmp_path


def test_the_page_says_what_was_measured(folder: Path) -> None:
    members = [
        Member('sra', SMT, [97.0, 98.0], [60, 60]),
        Member('halo', SG_FORMER, [99.0, 99.0], [60, 60]),
        Member('dwconv', SMT, [98.0, 98.4], [60, 60]),
    ]
    page = write_report(folder, members, 'Made in a test.', 64)
    text = page.read_text()
    lines = [line for line in text.splitlines() if line.startswith('| ')]
    assert [line.split(' | ')[0] for line in lines[1:]] == ['| halo', '| dwconv', '| sra']
    cells = lines[-1].split(' | ')
    assert cells[1] == '97.50 ± 0.71'
    assert cells[2] == '1.44' and cells[4:] == ['1.50', '4.25', '10.0%', '75.0%', '60.0% |']
    assert 'same under post rotation' in lines[0] and 'Made in a test.' in text
    assert 'Order here: halo, dwconv, sra' in text and 'Rank correlation 1.00' in text
    with Image.open(folder / 'scores.png') as picture:
        colours = {colour for _, colour in picture.convert('RGB').getcolors(1 << 16)}
    assert {(31, 119, 180), (128, 128, 128)} <= colours  # means and seeds


def test_speed_of_classifiers() -> None:
    speed = measure_speed({'a': SMT, 'b': SG_FORMER}, size=32, rounds=2)
    assert set(speed) == {'a', 'b'}
    assert all(0 < s['forward'] < s['step'] < 1000 for s in speed.values())

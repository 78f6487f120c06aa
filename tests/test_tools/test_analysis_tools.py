"""Analysis tools: output files, resuming, and one-line errors."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmsmt.backbones import SMT

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[object, str, str]]
CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmsmt.SMT', arch='pico', out_indices=(3,),
        init_cfg=dict(type='Pretrained', checkpoint='https://example.invalid/missing.pth'),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=256),
)
"""


@pytest.fixture(scope='module')
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, a mere backbone, a checkpoint of it, and six images of two classes."""
    folder = tmp_path_factory.mktemp('analysis')
    (folder / 'classifier.py').write_text(CONFIG)
    (folder / 'backbone.py').write_text("backbone = dict(type='mmsmt.SMT', arch='pico')\n")
    torch.manual_seed(5)
    torch.save(SMT('pico').state_dict(), folder / 'pico.pth')
    rng = np.random.default_rng(0)
    for i in range(6):
        file = folder / 'images' / 'ab'[i % 2] / f'{i}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(file)
    return folder


@pytest.fixture
def run(home: Path, run_here: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a tool in the folder of the networks; give exit status, stdout, stderr."""
    monkeypatch.chdir(home)
    return run_here


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline='') as lines:
        return list(csv.DictReader(lines))


def is_drawn(file: Path) -> bool:
    """Whether there are coloured pixels; axes and text alone are black, white and grey."""
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert('RGB')).astype(int)
    return (np.ptp(pixels, axis=-1) > 60).sum() > 100


def test_receptive_fields_of_a_classifier_and_a_backbone(run: Run, tmp_path: Path) -> None:
    names = ['classifier.py', 'trained=backbone.py,pico.pth', '--images', 'images']
    options = ['--size', 64, '--limit', 2, '--out', tmp_path]
    status, out, err = run('receptive_field', *names, *options)
    assert status == 0, err
    assert 'classifier (random, seed 0), stage 4' in out and 'trained (pico.pth), stage 1' in out
    table = rows(tmp_path / 'receptive_field.csv')
    assert len(table) == 2 * 4 * 4
    areas = [float(row['area']) for row in table if row['share'] == '0.99']
    assert areas[:4] == sorted(areas[:4]) and 0 < areas[0] < areas[3] <= 1
    pictures = ['classifier.png', 'trained.png', 'receptive_field.png']
    assert all(is_drawn(tmp_path / name) for name in pictures)
    assert not [file.name for file in tmp_path.iterdir() if file.name.startswith('.')]


def test_invariance_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    common = ['--images', 'images', '--kinds', 'scale', '--out', tmp_path, '--form', 'corrected']
    status, out, err = run('invariance', 'a=classifier.py', *common, '--size', 32)
    assert status == 0 and 'mean over 16 strengths: top1 0.' in out, err
    table = rows(tmp_path / 'invariance.csv')
    (same,) = [row for row in table if float(row['strength']) == 32 / 37]
    assert same['consistency'] == '1.0' and is_drawn(tmp_path / 'invariance.png')
    report = json.loads((tmp_path / 'a.json').read_text())
    report['rows'][0]['loss'] = 1234.5
    (tmp_path / 'a.json').write_text(json.dumps(report))
    # A finished network is read back, another is measured; other settings measure anew.
    run('invariance', 'a=classifier.py', 'b=classifier.py', *common, '--size', 32)
    table = rows(tmp_path / 'invariance.csv')
    assert [row['model'] for row in table] == ['a'] * 16 + ['b'] * 16
    assert table[0]['loss'] == '1234.5' and table[1]['loss'] == table[17]['loss']
    run('invariance', 'a=classifier.py', *common, '--size', 33)
    assert float(rows(tmp_path / 'invariance.csv')[0]['loss']) < 100


def test_modulation_of_an_image(run: Run, tmp_path: Path) -> None:
    image = 'images/a/0.png'
    status, out, err = run('modulation_maps', image, 'backbone.py', '--size', 64, '--out', tmp_path)
    assert status == 0 and 'stage 3, head 4 (9 x 9)' in out, err
    assert is_drawn(tmp_path / 'modulation.png') and is_drawn(tmp_path / 'reach.png')
    assert len(rows(tmp_path / 'reach.csv')) == 3 * 4


def test_models_side_by_side(run: Run, home: Path, tmp_path: Path) -> None:
    (home / 'measured.json').write_text('{"accuracy/top1": 91.5, "time": 3.0}')
    published = ROOT / 'configs/cls/smt_t_in1k.py'
    arguments = ['classifier.py,measured.json', 'backbone.py', published, '--out', tmp_path]
    status, out, err = run('compare_models', *arguments)
    assert status == 0, err
    ours, bare, tiny = rows(tmp_path / 'models.csv')
    assert ours['accuracy/top1'] == '91.5' and ours['source'] == 'measured.json'
    params = sum(p.numel() for p in SMT('pico').parameters())
    assert float(bare['params_m']) == round(params / 1e6, 3)
    assert float(ours['params_m']) == round((params + 2 * 257) / 1e6, 3)
    # https://arxiv.org/abs/2307.08579, table 1.
    assert tiny['Top 1 Accuracy'] == '82.2' and round(float(tiny['params_m']), 1) == 11.5
    assert (tmp_path / 'models.md').read_text().count('\n') == 5 and '| 91.5 |' in out


FIELD, CHANGE, MAPS = 'receptive_field', 'invariance', 'modulation_maps'


@pytest.mark.parametrize(
    ('tool', 'args', 'said'),
    [
        (FIELD, ['none.py'], 'none.py: no such config file'),
        (FIELD, ['nowhere::swin/swin.py'], "package 'nowhere' is not installed"),
        (FIELD, ['mmpretrain::swin/none.py'], 'no such config file'),
        (FIELD, ['backbone.py', 'backbone.py'], 'name them: LABEL=CONFIG'),
        (FIELD, ['backbone.py,none.pth'], 'none.pth: no such checkpoint file'),
        (FIELD, ['classifier.py,classifier.py'], 'classifier.py: not a readable checkpoint'),
        (FIELD, ['backbone.py', '--images', 'none'], 'none: no such folder of images'),
        (FIELD, ['backbone.py', '--limit', 0], 'must be positive, got 0'),
        (FIELD, ['backbone.py', '--size', 0], '--size must be positive'),
        (FIELD, ['backbone.py', '--device', 'nonsense'], '--device nonsense'),
        (FIELD, ['backbone.py', '--out-indices', 7], 'out_indices must be one or more of 0 to 3'),
        (FIELD, ['backbone.py', '--out', 'backbone.py'], 'cannot create the report folder'),
        (CHANGE, ['backbone.py', '--size', 32], 'not a classifier'),
        (CHANGE, ['classifier.py', '--size', 64, '--resize', 32], 'from 1 to resize, got 64 of 32'),
        (MAPS, ['none.png', 'backbone.py'], 'none.png: cannot be read as an image'),
        (MAPS, ['images/a/0.png', 'backbone.py,classifier.py'], 'not a readable checkpoint'),
        ('compare_models', ['backbone.py,backbone.py'], 'not a JSON file of results'),
        ('compare_models', ['backbone.py', '--shape', 1], 'too small'),
    ],
)
def test_bad_input_ends_in_one_line(
    run: Run, tmp_path: Path, tool: str, args: list, said: str
) -> None:
    defaults = ['--images', 'images'] if tool in (FIELD, CHANGE) else []
    status, out, err = run(tool, *defaults, '--out', tmp_path / 'out', *args)
    assert status == 1 and not out
    assert err.startswith('error: ') and err.count('\n') == 1 and said in err

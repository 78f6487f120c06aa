"""mmsmt show significance: pictures and ranks, and bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmsmt.backbones import SGFormer

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[object, str, str]]
HEADS = {
    'classifier': """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmsmt.SGFormer', arch='pico', out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=256),
)
""",
    'segmenter': """
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='mmsmt.SGFormer', arch='pico'),
    decode_head=dict(
        type='FPNHead', in_channels=[32, 64, 128, 256], in_index=[0, 1, 2, 3], channels=8,
        feature_strides=[4, 8, 16, 32], num_classes=3, norm_cfg=dict(type='BN'),
    ),
    test_cfg=dict(mode='whole'),
)
""",
    'backbone': "backbone = dict(type='mmsmt.SGFormer', arch='pico')\n",
    'smt': "backbone = dict(type='mmsmt.SMT', arch='pico')\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Configs, a checkpoint, two images and boxes on them."""
    for name, text in HEADS.items():
        (tmp_path / f'{name}.py').write_text(text)
    torch.manual_seed(1)
    torch.save(SGFormer('pico').state_dict(), tmp_path / 'weights.pth')
    (tmp_path / 'broken.pth').write_bytes(b'hello')
    (tmp_path / 'images').mkdir()
    rng = np.random.default_rng(0)
    for name, size in (('a.png', (70, 45)), ('b.png', (33, 64))):
        pixels = rng.integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'images' / name)
    boxes = {
        'images': [dict(id=7, file_name='a.png'), dict(id=9, file_name='b.png')],
        'annotations': [
            dict(image_id=7, bbox=[4, 4, 30, 30]),
            dict(image_id=9, bbox=[0, 0, 20, 30]),
            dict(image_id=9, bbox=[10, 20, 20, 30]),
        ],
    }
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    return tmp_path


@pytest.fixture
def run(run_here: Run) -> Run:
    """Run a tool in this process; give exit status, stdout, stderr."""
    return run_here


@pytest.mark.parametrize('kind', ['classifier', 'segmenter', 'backbone'])
def test_sheets_of_images_of_any_size(run: Run, folder: Path, kind: str) -> None:
    images = [folder / 'images' / name for name in ('a.png', 'b.png')]
    out = folder / 'new' / 'out'
    status, said, err = run('significance', folder / f'{kind}.py', *images, '--out', out)
    assert (status, err) == (0, '')
    assert said.split() == [str(out / f'{name}_significance.png') for name in 'ab']
    assert sorted(f.name for f in out.iterdir()) == ['a_significance.png', 'b_significance.png']
    for path in out.iterdir():
        with Image.open(path) as sheet:
            assert min(sheet.size) > 200


def test_weights_and_pixels_reach_the_network(run: Run, folder: Path) -> None:
    """Ranks of two sets of weights differ; one checkpoint gives one result."""
    config, boxes = folder / 'backbone.py', folder / 'boxes.json'
    places = ['--annotations', boxes, '--images', folder / 'images', '--out', folder / 'out']
    models = [f'random={config}', f'one={config},{folder / "weights.pth"}']
    status, said, err = run('significance', *models, *places)
    assert (status, err) == (0, '')
    assert said.splitlines()[0] == '| model | stage | inside | outside | images with more inside |'
    rows = json.loads((folder / 'out' / 'significance.json').read_text())
    assert [(row['model'], row['stage'], row['images']) for row in rows] == [
        (model, stage, 2) for model in ('random', 'one') for stage in (1, 2, 3)
    ]
    assert rows[0]['weights'] == 'random, seed 0'
    assert rows[0]['inside'] != rows[3]['inside']
    assert f'| one | 1 | {rows[3]["inside"]:.3f} | {rows[3]["outside"]:.3f} |' in said
    alone = run('significance', models[1], *places, '--limit', 1)[1]
    assert alone != said and '% of 1 |' in alone


def test_study_against_the_backbone_itself(run: Run, folder: Path) -> None:
    """The first stage of one image, computed here from its pixels."""
    run(
        *('significance', f'{folder / "backbone.py"},{folder / "weights.pth"}', '--limit', 1),
        *('--annotations', folder / 'boxes.json', '--images', folder / 'images'),
        *('--out', folder / 'out'),
    )
    row = json.loads((folder / 'out' / 'significance.json').read_text())[0]
    model = SGFormer('pico').eval()
    model.load_state_dict(torch.load(folder / 'weights.pth'))
    pixels = np.asarray(Image.open(folder / 'images' / 'a.png'), dtype=np.float32)
    # ImageNet's, as no config says otherwise; RGB.
    pixels = (pixels - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    image = torch.from_numpy(pixels).float().permute(2, 0, 1)[None]
    values = model.significance(image)[0][0][0]
    ranks = (values.flatten().argsort().argsort() + 0.5).view_as(values) / values.numel()
    assert values.shape == (12, 18)
    # Centres at 45 / 12 * (i + 0.5) and 70 / 18 * (j + 0.5), box from 4 to 34.
    inside = torch.zeros(12, 18, dtype=torch.bool)
    inside[1:9, 1:9] = True
    assert row['inside'] == pytest.approx(ranks[inside].mean().item(), abs=1e-3)
    assert row['outside'] == pytest.approx(ranks[~inside].mean().item(), abs=1e-3)


@pytest.mark.parametrize(
    ('model', 'image', 'says'),
    [
        ('none.py', 'images/a.png', 'none.py: no such config file'),
        ('smt.py', 'images/a.png', 'SMT has no hybrid-scale block'),
        ('backbone.py', 'images/c.png', 'c.png: '),
        ('backbone.py', 'boxes.json', 'boxes.json: cannot be read as an image'),
        ('backbone.py,none.pth', 'images/a.png', 'none.pth: no such checkpoint file'),
        ('backbone.py,broken.pth', 'images/a.png', 'broken.pth: not a readable checkpoint'),
        ('smt.py,weights.pth', 'images/a.png', 'The file holds no SMT backbone'),
    ],
)
def test_draw_bad_input(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, model: str, image: str, says: str
) -> None:
    monkeypatch.chdir(folder)
    status, said, err = run('significance', model, image, '--out', 'out')
    assert (status, said) == (1, '')
    assert err.startswith('error: ') and err.count('\n') == 1
    assert says in err
    assert not Path('out').exists()


@pytest.mark.parametrize(
    ('model', 'args', 'says'),
    [
        ('smt.py', [], 'SMT has no hybrid-scale block'),
        ('backbone.py', ['--annotations', 'smt.py'], 'smt.py: not a readable COCO file'),
        ('backbone.py', ['--annotations', 'none.json'], 'none.json: not a readable COCO file'),
        ('backbone.py', ['--images', 'none'], 'none: no such folder of images'),
        ('backbone.py', ['--images', '.'], 'a.png: cannot be read as an image'),
        ('backbone.py', ['--limit', '0'], '--limit must be positive, got 0'),
        ('backbone.py', ['--annotations', 'empty.json'], 'no boxes in it'),
        ('backbone.py', ['--out', 'smt.py/x'], 'cannot be written'),
    ],
)
def test_rank_bad_input(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, model: str, args: list, says: str
) -> None:
    monkeypatch.chdir(folder)
    Path('empty.json').write_text('{"images": [{"id": 1, "file_name": "a"}], "annotations": []}')
    places = ['--annotations', 'boxes.json', '--images', 'images', '--out', 'out']
    status, said, err = run('significance', model, *places, *args)
    assert (status, said) == (1, '')
    assert err.startswith('error: ') and err.count('\n') == 1
    assert says in err
    assert not Path('out').exists()

"""mmsmt predict: what it prints, and bad input."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmsmt.hosts.meta_device import build_model

Run = Callable[..., tuple[object, str, str]]
CONFIG = Path(__file__).resolve().parents[2] / 'configs/digits/cls_smt_pico.py'


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('weights') / 'weights.pth'
    model = build_model(Config.fromfile(CONFIG))
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


@pytest.fixture
def folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights, two images, and files that are of no use."""
    (tmp_path / 'weights.pth').symlink_to(weights)
    (tmp_path / 'images').mkdir()
    for name in 'ab':
        Image.effect_noise((64, 64), 90).convert('RGB').save(tmp_path / f'images/{name}.png')
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'broken.jpg').write_text('no image')
    (tmp_path / 'cut.pth').write_bytes(weights.read_bytes()[:5000])
    (tmp_path / 'data.py').write_text('x = 1')
    (tmp_path / 'backbone.py').write_text("backbone = dict(type='mmsmt.SMT', arch='pico')")
    (tmp_path / 'typo.py').write_text(
        f"_base_ = '{CONFIG}'\nmodel = dict(backbone=dict(arch='pica'))"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_says_what_was_written_and_how_fast(run_here: Run, folder: Path) -> None:
    (folder / 'images/c.png').write_text('no image')
    options = ('--out', 'out', '--batch-size', 2, '--device', 'cpu', '--on-bad', 'skip')
    status, said, err = run_here('predict', CONFIG, 'weights.pth', 'images', *options)
    assert (status, err) == (0, '')
    lines = said.splitlines()
    assert lines[0] == 'written  out/scores.csv: 2 images, 10 classes'
    assert lines[1] == 'written  out/pictures: 2 pictures'
    assert lines[2].startswith('skipped  images/c.png (img_path): ')
    assert lines[3].startswith('speed    2 images in ') and len(lines) == 4
    # Neither checkpoint nor config names the classes.
    header = (folder / 'out/scores.csv').read_text().splitlines()[0]
    assert header == 'file,class,score,0,1,2,3,4,5,6,7,8,9'


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        ((CONFIG, 'weights.pth', 'nowhere'), 'nowhere: no such file or folder'),
        ((CONFIG, 'weights.pth', 'empty'), 'empty: no images in it'),
        ((CONFIG, 'weights.pth', 'empty/*.png'), 'empty/*.png: no images in it'),
        ((CONFIG, 'weights.pth', 'broken.jpg'), 'broken.jpg (img_path): '),
        ((CONFIG, 'gone.pth', 'images'), 'gone.pth: no such checkpoint file'),
        ((CONFIG, 'gone.onnx', 'images'), 'gone.onnx: no such file'),
        ((CONFIG, 'cut.pth', 'images'), 'cut.pth: not a readable checkpoint'),
        (('gone.py', 'weights.pth', 'images'), 'gone.py: no such config file'),
        (('mmdet::gone.py', 'weights.pth', 'images'), 'mmdet::gone.py: no such config file'),
        (('data.py', 'weights.pth', 'images'), 'data.py: has neither `model` nor `backbone`'),
        (('backbone.py', 'weights.pth', 'images'), 'backbone.py: not a training config: `model`'),
        (('typo.py', 'weights.pth', 'images'), 'typo.py: the model cannot be built: '),
        ((CONFIG, 'weights.pth', 'images', '--classes', 'cat'), '--classes: the model has no'),
        ((CONFIG, 'weights.pth', 'images', '--device', 'tea'), '--device tea: '),
        ((CONFIG, 'weights.pth', 'images', '--device', 'cuda:77'), '--device cuda:77: PyTorch'),
        ((CONFIG, 'weights.pth', 'images', '--batch-size', 0), '--batch-size must be at least 1'),
        ((CONFIG, 'weights.pth', 'images', '--precision', 'bfloat16'), '--precision bfloat16 only'),
    ],
    ids=lambda value: ' '.join(map(str, value[1:])) if isinstance(value, tuple) else '',
)
def test_bad_input(run_here: Run, folder: Path, arguments: tuple, says: str) -> None:
    before = sorted(folder.rglob('*'))
    status, said, err = run_here('predict', *arguments)
    assert (status, said) == (1, '')
    assert err.startswith(f'error: {says}') and err.count('\n') == 1
    assert sorted(folder.rglob('*')) == before

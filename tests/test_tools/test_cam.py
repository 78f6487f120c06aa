"""mmsmt show cam: what it prints and writes, and bad input in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., tuple[object, str, str]]
CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmsmt.SMT', arch='pico', out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=256),
)
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / 'net.py').write_text(CONFIG)
    (tmp_path / 'bare.py').write_text("backbone = dict(type='mmsmt.SMT', arch='pico')\n")
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    return tmp_path


def test_what_is_printed_and_written(run_here: Run, folder: Path) -> None:
    out = folder / 'out'
    command = ('cam', folder / 'net.py', folder / 'a.png', '--class', '1', '--out', out)
    status, said, err = run_here(*command)
    assert (status, err) == (0, '')
    picture, score, note = said.splitlines()
    assert picture == str(out / 'a_cam.png') and score.startswith('  1, score 0.')
    assert note == 'note: the map has 2 x 3 cells; --stage uses an earlier, finer one'
    with Image.open(picture) as image:
        assert min(image.size) > 300
    status, said, err = run_here(*command, '--stage', 1)
    assert (status, err) == (0, '') and 'note' not in said


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('net.py', 'a.png', '--class', 'x'), "--class: the model has no class 'x'; known: 0, 1"),
        (('net.py', 'none.png'), 'none.png: no such file'),
        (('net.py', 'a.png', '--stage', 9), '--stage 9: unknown stage of SMT; it has 4'),
        (('net.py', 'a.png', '--box', 1), '--box needs a detector; this is a classifier'),
        (('bare.py', 'a.png'), 'bare.py: not a training config: `model` is missing'),
        (('net.py,none.pth', 'a.png'), 'none.pth'),
    ],
    ids=str,
)
def test_bad_input_is_one_line(
    run_here: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple, message: str
) -> None:
    monkeypatch.chdir(folder)
    status, said, err = run_here('cam', *arguments)
    assert (status, said) == (1, '') and err.startswith('error: ') and err.count('\n') == 1
    assert message in err
    assert not (folder / 'work_dirs').exists()
